module kanava.dev/test/cluster/tools/coredns

go 1.26
