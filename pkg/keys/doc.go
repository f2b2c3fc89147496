// Package keys holds the secrets of encrypted clusters and wraps them with age, so
// that whoever has one of several keys, or a passphrase, can open them.
//
// A Ring has generations. Each has a metadata secret, which everybody needs who works
// with the cluster, and a data key pair: its public half is enough to write pages and
// WAL, its private half is needed to read them. A ring is stored as a Document, in
// which it is wrapped twice: whole for the recipients of scope All, without the private
// halves for those of scope Backup. New objects use the newest generation; the older
// ones stay, so that rotating rewrites nothing but the document.
//
// It does no I/O; package repo stores documents and encrypts with what is derived here.
package keys
