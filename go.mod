module github.com/quench-dev/quench

go 1.26
