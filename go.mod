module github.com/pgincr/pgincr

go 1.26.0
