module kanava.dev/test/cluster/tools/containerd

go 1.26
