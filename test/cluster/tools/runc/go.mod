module kanava.dev/test/cluster/tools/runc

go 1.26
