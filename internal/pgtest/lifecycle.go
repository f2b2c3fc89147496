package pgtest

import (
	"fmt"
	"strconv"
	"syscall"
	"time"
)

// StopMode is how a server is asked to stop, as by pg_ctl.
type StopMode syscall.Signal

// The modes of pg_ctl stop: Smart waits for sessions to end, Fast ends them,
// Immediate leaves recovery for the next start.
const (
	Smart     = StopMode(syscall.SIGTERM)
	Fast      = StopMode(syscall.SIGINT)
	Immediate = StopMode(syscall.SIGQUIT)
)

// Start starts the server and waits until it takes connections.
func (c *Cluster) Start() {
	c.t.Helper()
	if err := c.TryStart(); err != nil {
		c.t.Fatal(err)
	}
}

// TryStart is Start for servers that may refuse to; the error has the end of
// the log.
func (c *Cluster) TryStart() error {
	if c.Running() {
		return fmt.Errorf("%s is running already", c.Install)
	}
	args := []string{"-D", c.DataDir}
	args = append(args, commandLine(c.settings)...)
	args = append(args, commandLine(map[string]string{
		"listen_addresses":        "",
		"logging_collector":       "off",
		"log_destination":         "stderr",
		"port":                    strconv.Itoa(c.Port),
		"unix_socket_directories": c.SocketDir,
	})...)
	proc, err := startProcess(c.Install, c.log, args...)
	if err != nil {
		return fmt.Errorf("starting %s: %w", c.Install, err)
	}
	c.proc = proc
	if err := proc.waitReady(c.DataDir); err != nil {
		if !proc.running() {
			c.proc = nil
		}
		return fmt.Errorf("starting %s on %s: %w\n%s", c.Install, c.DataDir, err, tail(c.Log(), 40))
	}
	return nil
}

// Running tells whether the server is.
func (c *Cluster) Running() bool { return c.proc != nil && c.proc.running() }

// Stop stops the server and waits until it and all its children are gone.
func (c *Cluster) Stop(mode StopMode) {
	c.t.Helper()
	if err := c.end(syscall.Signal(mode)); err != nil {
		c.t.Fatal(err)
	}
}

// Kill kills the server as the out-of-memory killer would: no checkpoint, no
// farewell. It waits until all its children have noticed and gone too.
func (c *Cluster) Kill() {
	c.t.Helper()
	if err := c.end(syscall.SIGKILL); err != nil {
		c.t.Fatal(err)
	}
}

func (c *Cluster) end(signal syscall.Signal) error {
	if c.proc == nil {
		return fmt.Errorf("%s is not running", c.Install)
	}
	err := c.proc.end(signal)
	c.proc = nil
	return err
}

// WaitStopped waits until a server stops by itself, as it does at a recovery
// target with recovery_target_action=shutdown.
func (c *Cluster) WaitStopped() {
	c.t.Helper()
	c.Poll("the server to stop", func() bool { return !c.Running() })
	if err := c.end(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
}

// Restart stops the server fast and starts it again.
func (c *Cluster) Restart() {
	c.t.Helper()
	c.Stop(Fast)
	c.Start()
}

// Reload makes the server read its configuration again and waits until a new
// session sees it.
func (c *Cluster) Reload() {
	c.t.Helper()
	before := c.Query1("SELECT pg_conf_load_time()")
	c.Exec("SELECT pg_reload_conf()")
	c.Poll("the configuration to be loaded", func() bool {
		return c.Query1("SELECT pg_conf_load_time()") != before
	})
}

// Promote ends a standby's recovery and waits until it takes writes.
func (c *Cluster) Promote() {
	c.t.Helper()
	c.Exec("SELECT pg_promote(wait => false)")
	c.WaitRecovered()
}

// WaitRecovered waits until recovery has ended and the server takes writes.
func (c *Cluster) WaitRecovered() {
	c.t.Helper()
	c.Poll("recovery to end", func() bool {
		return c.Query1("SELECT pg_is_in_recovery()") == "f"
	})
}

// WaitReplayed waits until this standby has replayed all that the primary has
// written so far.
func (c *Cluster) WaitReplayed(primary *Cluster) {
	c.t.Helper()
	lsn := primary.Query1("SELECT pg_current_wal_flush_lsn()")
	c.Poll("replay of "+lsn, func() bool {
		return c.Query1("SELECT pg_last_wal_replay_lsn() >= '"+lsn+"'") == "t"
	})
}

// Poll asks again and again until the answer is yes, and fails the test when it
// takes too long or the server goes away meanwhile.
func (c *Cluster) Poll(what string, done func() bool) {
	c.t.Helper()
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: waited %v for %s", c.Install, patience, what)
		}
		time.Sleep(pollEvery)
	}
}

// Checkpoint writes a checkpoint (on a standby: a restartpoint, if there is a
// newer checkpoint to restart from).
func (c *Cluster) Checkpoint() {
	c.t.Helper()
	c.Exec("CHECKPOINT")
}

// SwitchWAL ends the current WAL segment and returns its name.
func (c *Cluster) SwitchWAL() string {
	c.t.Helper()
	// Without a record in the segment there is nothing to switch.
	c.Exec("SELECT pg_create_restore_point('pgtest')")
	return c.Query1("SELECT pg_walfile_name(pg_switch_wal())")
}
