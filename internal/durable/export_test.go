package durable

// LinkNew is what file systems without RENAME_NOREPLACE use.
var LinkNew = linkNew
