module github.com/portreeve/portreeve/e2e

go 1.26.8
