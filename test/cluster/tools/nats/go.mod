module kanava.dev/test/cluster/tools/nats

go 1.26
