package main

import (
	"context"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

// lookUpNames asks a server, which must be that of the repository's entry, for the names of relations.
func lookUpNames(
	ctx context.Context, p *program, cfg server.Config, entry repo.ClusterInfo, wanted []pg.RelFileLocator,
) (*server.Names, error) {
	names, err := server.LookUpNames(ctx, cfg, wanted)
	if err != nil {
		return nil, err
	}
	if names.SystemIdentifier != entry.SystemIdentifier {
		return nil, fmt.Errorf("server %s: %w", names.Server, &repo.SystemIdentifierError{
			Cluster: entry.Name, Have: entry.SystemIdentifier, Want: names.SystemIdentifier,
		})
	}
	for db, why := range names.Unread {
		p.log.Warn("the relations of a database stay numbers", "database", db, "cause", why)
	}
	return names, nil
}
