module kanava.dev/test/cluster/tools/etcd

go 1.26
