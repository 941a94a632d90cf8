module kanava.dev/test/cluster/tools/kubernetes

go 1.26
