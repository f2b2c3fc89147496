package main

// notes is the end of the document.
const notes = `
## How it is measured

- All sides of a case run on one cluster with the same changes, in alternation, each run in another
  order. Before each there is a sync of the file system and no WAL that waits to be archived. Files are
  in the page cache.
- This virtual machine gives memory that is free back to its host within seconds, and gets it again at the
  first touch, with up to ten times the CPU of writing to it. Whoever fills the page cache pays for
  that, the more so the first time: *cp*, pg_basebackup and pg_combinebackup most of all (0.4 s of CPU for
  a GB become 1 to 5), pgincr least, because it writes large relations past the page cache. Minima are
  nearer to a machine that keeps its memory.
- *Seconds* is wall time: median (minimum–maximum). *CPU* is the processor time of the whole machine
  meanwhile, so it has the server's part; steps of a hundredth of a second. *Read* and *written* count
  bytes of read and write calls of the program, its children and the server's backends for it; pages that
  pgincr looks at through a mapping are not among them, but in *MB read of data*, which is what it says
  itself. *MiB* is the resident memory of the largest process, and never less than that of the measuring
  program, which starts it.
- *Stored* is what is added to a repository; of a restore, the directory that was written.
- Every tool as it is by default, but: jobs as stated, zstd where there is compression, an immediate
  checkpoint. pgincr archives WAL and waits until the archive has that of the backup. pg_basebackup
  carries its WAL. pgBackRest and WAL-G wait for no WAL.
- pgbench has a fill factor of 90, so that an update stays in its page. The other data set, documents,
  has a table with five indexes, one of them GIN and one on random keys, and texts that lie in TOAST; an
  update changes all of these.
- *cat* reads the data files by one process; *cp -r* and *sync* copies them. WAL-G's restore does not
  sync: a sync is added.
- *Start, stop and the archive* is what every backup here waits for: the server's two functions, and the
  segment of WAL that they end. *Reading, hashes and checksums* is what a restore in place cannot do
  without: it reads each file, hashes its pages to know what is right already, and sums it for
  backup_manifest, with as many workers. Both stand beside goals that are missed, as what nothing could be faster than.
- *Encrypted* is a repository for an X25519 key (age), beside one without, both with the WAL that the
  backup carries.
- In a chain of 9 each link changes 2 % of the pages of the table, in longer chains all links together as
  much.
- The server meanwhile: pgbench with 4 clients for ten seconds, in which one backup is taken, against ten
  seconds without.
`
