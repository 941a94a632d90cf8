{{/* A map without what is null: a later values file takes away with null what an earlier one set. Lists stay as they are. As JSON. */}}
{{- define "kanava.pruned" -}}
{{- $kept := dict -}}
{{- range $key, $value := . -}}
{{- if kindIs "map" $value -}}
{{- $kept = set $kept $key (include "kanava.pruned" $value | fromJson) -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $kept = set $kept $key $value -}}
{{- end -}}
{{- end -}}
{{- toJson $kept -}}
{{- end -}}

{{/* A value as block YAML in which every string is quoted: whatever it holds, it stays that string. */}}
{{- define "kanava.yaml" -}}
{{- $lines := list -}}
{{- if kindIs "map" . -}}
{{- range $key, $value := . -}}
{{- $text := include "kanava.yaml" $value -}}
{{- $isBlock := and $value (or (kindIs "map" $value) (kindIs "slice" $value)) -}}
{{- $lines = append $lines (printf "%s:%s" (quote $key) (ternary (nindent 2 $text) (printf " %s" $text) (not (not $isBlock)))) -}}
{{- end -}}
{{- join "\n" $lines | default "{}" -}}
{{- else if kindIs "slice" . -}}
{{- range . -}}
{{- $lines = append $lines (printf "- %s" (include "kanava.yaml" . | indent 2 | trimPrefix "  ")) -}}
{{- end -}}
{{- join "\n" $lines | default "[]" -}}
{{- else if kindIs "string" . -}}
{{- quote . -}}
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end -}}

{{/* Labels and annotations of the entry, and the chart's labels over them. */}}
{{- define "kanava.metadata" -}}
{{- $own := .entry.metadata | default dict -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" -}}
{{- $labels := dict "app.kubernetes.io/managed-by" .root.Release.Service "app.kubernetes.io/instance" .root.Release.Name "helm.sh/chart" $chart -}}
{{- $metadata := dict "name" .name "labels" (merge $labels ($own.labels | default dict)) -}}
{{- with $own.annotations -}}
{{- $metadata = set $metadata "annotations" . -}}
{{- end -}}
{{- with .namespace -}}
{{- $metadata = set $metadata "namespace" . -}}
{{- end -}}
{{- include "kanava.yaml" $metadata -}}
{{- end -}}
