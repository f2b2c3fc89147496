package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pgincr/pgincr/internal/durable"
	"github.com/pgincr/pgincr/pkg/keys"
	"github.com/pgincr/pgincr/pkg/repo"
)

type keyCommand struct {
	Generate   keyGenerateCommand   `cmd:"" help:"Make a private key and print its public key."`
	List       keyListCommand       `cmd:"" help:"List who has keys to an encrypted cluster."`
	Add        keyAddCommand        `cmd:"" help:"Give a public key access to an encrypted cluster."`
	Remove     keyRemoveCommand     `cmd:"" help:"Take access to an encrypted cluster away."`
	Rotate     keyRotateCommand     `cmd:"" help:"Encrypt new objects with new keys."`
	Passphrase keyPassphraseCommand `cmd:"" help:"Set or replace the passphrase of an encrypted cluster."`
}

type keyGenerateCommand struct {
	withoutRepository `kong:"-"`

	Output string `short:"o" required:"" placeholder:"FILE" help:"File for the private key; it must not exist."`
}

// Help is shown below the summary.
func (*keyGenerateCommand) Help() string {
	return "The file is one of age's identity files, readable for its owner only. Keep a copy where the cluster and the " +
		"repository cannot be lost with it: without a key nobody can read an encrypted cluster."
}

// Run implements the command.
func (c *keyGenerateCommand) Run(p *program) error {
	file, public, err := keys.Generate()
	if err != nil {
		return err
	}
	f, err := durable.Create(c.Output, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(file); err != nil {
		return errors.Join(err, f.Abort())
	}
	if err := f.Commit(); err != nil {
		return err
	}
	return p.printf("%s\n", public)
}

type keyListCommand struct {
	jsonFlag `embed:""`
}

// Help is shown below the summary.
func (*keyListCommand) Help() string {
	return "Who has scope all reads everything and changes keys. Who has scope backup takes backups, incremental ones " +
		"too, archives WAL and lists what there is, but reads neither pages nor WAL."
}

// keyListDocument is what key list --json prints.
type keyListDocument struct {
	Serial      uint32           `json:"serial"`
	Generations []keys.ID        `json:"generations"` // the newest last
	Recipients  []keys.Recipient `json:"recipients"`
}

// Run implements the command.
func (c *keyListCommand) Run(ctx context.Context, p *program) error {
	cluster, err := p.openEncrypted(ctx)
	if err != nil {
		return err
	}
	ring := cluster.Ring()
	d := keyListDocument{Serial: ring.Serial, Recipients: ring.Recipients}
	for i := range ring.Generations {
		d.Generations = append(d.Generations, ring.Generations[i].ID)
	}
	if c.JSON {
		return p.printJSON(d)
	}
	rows := []string{"SCOPE\tNAME\tKEY"}
	for _, r := range d.Recipients {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s", r.Scope, orDash(r.Name), r.Key))
	}
	if err := p.printTable(rows); err != nil {
		return err
	}
	return p.printf("keys were rotated %d times\n", len(d.Generations)-1)
}

// openEncrypted opens the cluster, which must be encrypted.
func (p *program) openEncrypted(ctx context.Context) (*repo.Cluster, error) {
	cluster, err := p.openCluster(ctx)
	if err == nil && !cluster.Encrypted() {
		err = &usageError{
			err:  fmt.Errorf("cluster %s is not encrypted", p.common.Cluster),
			hint: "a cluster is encrypted from its pgincr init on, or not at all",
		}
	}
	return cluster, err
}

// ringChange makes a new keyring document.
type ringChange func(*keys.Ring, *keys.Document) (*keys.Document, error)

// changeRing applies a change and says that it is done.
func (p *program) changeRing(ctx context.Context, done string, change ringChange) error {
	cluster, err := p.openEncrypted(ctx)
	if err != nil {
		return err
	}
	if err := cluster.ChangeRing(ctx, change); err != nil {
		return err
	}
	if p.common.Quiet {
		return nil
	}
	_, err = io.WriteString(p.stdout, done+"\n")
	return err
}

type keyAddCommand struct {
	Keys       []string `arg:"" name:"key" placeholder:"KEY" help:"Public key, age1… or ssh-…, or a file of them."`
	BackupOnly bool     `help:"For database hosts: take backups and archive WAL, but read neither."`
	Name       string   `placeholder:"NAME" help:"What to call it in lists (default: the comment of an SSH key)."`
}

// Run implements the command.
func (c *keyAddCommand) Run(ctx context.Context, p *program) error {
	scope := keys.All
	if c.BackupOnly {
		scope = keys.Backup
	}
	added, err := recipients(c.Keys, scope)
	if err == nil && len(added) != 1 && c.Name != "" {
		err = errors.New("--name: is for one key")
	}
	if err != nil {
		return &usageError{err: err, command: "pgincr key add"}
	}
	if c.Name != "" {
		added[0].Name = c.Name
	}
	done := fmt.Sprintf("cluster %s: added %d of scope %s", p.common.Cluster, len(added), scope)
	return p.changeRing(ctx, done, func(r *keys.Ring, d *keys.Document) (*keys.Document, error) {
		return r.Add(d, added...)
	})
}

type keyRemoveCommand struct {
	Key string `arg:"" placeholder:"KEY" help:"Name or public key as pgincr key list shows it, or a unique beginning of it."`
}

// Help is shown below the summary.
func (*keyRemoveCommand) Help() string {
	return "Whoever kept a copy of the repository or of its keys can still read what was written until now. " +
		"pgincr key rotate afterwards keeps them from reading what comes."
}

// Run implements the command.
func (c *keyRemoveCommand) Run(ctx context.Context, p *program) error {
	done := fmt.Sprintf("cluster %s: removed %s; pgincr key rotate makes new keys for what comes", p.common.Cluster, c.Key)
	return p.changeRing(ctx, done, func(r *keys.Ring, d *keys.Document) (*keys.Document, error) {
		return r.Remove(d, c.Key)
	})
}

type keyRotateCommand struct{}

// Help is shown below the summary.
func (*keyRotateCommand) Help() string {
	return "Those who have access have the new keys at once. What is stored stays as it is and can be read as before. " +
		"A command that runs meanwhile ends with the keys it began with."
}

// Run implements the command.
func (*keyRotateCommand) Run(ctx context.Context, p *program) error {
	return p.changeRing(ctx, "cluster "+p.common.Cluster+": new objects have new keys", (*keys.Ring).Rotate)
}

type keyPassphraseCommand struct {
	NewPassphraseFile    string `placeholder:"FILE" help:"File with the new passphrase."`
	NewPassphraseCommand string `placeholder:"COMMAND" help:"Shell command that prints the new passphrase."`
}

// Help is shown below the summary.
func (*keyPassphraseCommand) Help() string {
	return "The passphrase reads everything. At least 12 characters; pgincr key remove passphrase takes it away."
}

// Run implements the command.
func (c *keyPassphraseCommand) Run(ctx context.Context, p *program) error {
	source, err := p.passphraseSource(c.NewPassphraseFile, c.NewPassphraseCommand, "")
	if err != nil {
		return err
	}
	if source == nil {
		return &usageError{
			err:     errors.New("no new passphrase: give --new-passphrase-file or --new-passphrase-command"),
			command: "pgincr key passphrase",
		}
	}
	phrase, err := source(ctx)
	if err != nil {
		return err
	}
	return p.changeRing(ctx, "cluster "+p.common.Cluster+": the passphrase is set",
		func(r *keys.Ring, _ *keys.Document) (*keys.Document, error) { return r.SetPassphrase(phrase) })
}
