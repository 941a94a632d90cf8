module kanava.dev/test/cluster/tools/helm

go 1.26
