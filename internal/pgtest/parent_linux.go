package pgtest

import "syscall"

// dieWithParent shuts the server down when the test dies without cleaning up,
// as it does when it runs into its time limit.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
