{{/* Names are fixed: there is one Kanava in a cluster, as there is one set of CRDs. */}}
{{- define "kanava.labels" -}}
{{ include "kanava.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: kanava
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "kanava.selector" -}}
app.kubernetes.io/name: kanava
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "kanava.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "kanava.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:kanava-operator
{{- end }}

{{- define "kanava.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "kanava.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "kanava.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* What the operator is told: the schema is operator/settings.ts. */}}
{{- define "kanava.config" -}}
{{- $nats := dict }}
{{- if .Values.nats.managed.enabled }}
{{- $pods := include "kanava.selector" (dict "root" . "component" "nats") | fromYaml }}
{{- $_ := set $nats "url" (printf "tls://kanava-nats.%s.svc:4222" .Release.Namespace) }}
{{- $_ := set $nats "network" (dict "namespace" .Release.Namespace "podLabels" $pods) }}
{{- else }}
{{- $_ := set $nats "url" .Values.nats.external.url }}
{{- $_ := set $nats "network" (dict "cidrs" .Values.nats.external.cidrs) }}
{{- end }}
{{- $runtime := dict "image" (include "kanava.image" (dict "root" . "image" .Values.images.runtime)) "imagePullPolicy" .Values.images.runtime.pullPolicy "imagePullSecrets" .Values.images.tenantPullSecrets }}
{{- dict "runtime" $runtime "nats" $nats "network" .Values.network "credentials" .Values.credentials | mustToPrettyJson }}
{{- end }}
