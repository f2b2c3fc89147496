# fish completion of pgincr, made by "pgincr completion fish"
complete -c pgincr -f
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a init -d 'Create the repository entry of one cluster.'
complete -c pgincr -n '__fish_seen_subcommand_from init' -s 'd' -l dbname -d 'Database or connection string (default: postgres).' -x
complete -c pgincr -n '__fish_seen_subcommand_from init' -s 'h' -l host -d 'Host or socket directory.' -x -a '(__fish_complete_directories)'
complete -c pgincr -n '__fish_seen_subcommand_from init' -s 'p' -l port -d 'Port.' -x
complete -c pgincr -n '__fish_seen_subcommand_from init' -s 'U' -l username -d 'Role to connect as.' -x
complete -c pgincr -n '__fish_seen_subcommand_from init' -l json -d 'Print one JSON document.'
complete -c pgincr -n '__fish_seen_subcommand_from init' -s 'D' -l pgdata -d 'Data directory to read the identity from, instead of asking the server.' -x -a '(__fish_complete_directories)'
complete -c pgincr -n '__fish_seen_subcommand_from init' -l recipient -d 'Encrypt the cluster for this public key, age1… or ssh-…, or for those in a file; may be repeated.' -x
complete -c pgincr -n '__fish_seen_subcommand_from init' -l backup-recipient -d 'The same for a database host, which takes backups and archives WAL but reads neither; may be repeated.' -x
complete -c pgincr -n '__fish_seen_subcommand_from init' -l encrypt-passphrase -d 'Encrypt the cluster for the passphrase of --passphrase-file, --passphrase-command or PGINCR_PASSPHRASE.'
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a backup -d 'Take a full or incremental backup of a running cluster.'
complete -c pgincr -n '__fish_seen_subcommand_from backup' -s 'd' -l dbname -d 'Database or connection string (default: postgres).' -x
complete -c pgincr -n '__fish_seen_subcommand_from backup' -s 'h' -l host -d 'Host or socket directory.' -x -a '(__fish_complete_directories)'
complete -c pgincr -n '__fish_seen_subcommand_from backup' -s 'p' -l port -d 'Port.' -x
complete -c pgincr -n '__fish_seen_subcommand_from backup' -s 'U' -l username -d 'Role to connect as.' -x
complete -c pgincr -n '__fish_seen_subcommand_from backup' -l json -d 'Print one JSON document.'
complete -c pgincr -n '__fish_seen_subcommand_from backup' -l send-rate -d 'Most to write to a repository in a second: kilobytes, or with k, M or G.' -x
complete -c pgincr -n '__fish_seen_subcommand_from backup' -l io-priority -d 'What the disks\' scheduler takes this command for, normal, low, idle (default: normal).' -x -a 'normal low idle'
complete -c pgincr -n '__fish_seen_subcommand_from backup' -s 'D' -l pgdata -d 'Data directory of the running cluster.' -x -a '(__fish_complete_directories)'
complete -c pgincr -n '__fish_seen_subcommand_from backup' -l incremental -d 'Store only what changed since the parent; full, with the reason, where there is no usable parent.'
complete -c pgincr -n '__fish_seen_subcommand_from backup' -l parent -d 'What an incremental is built on: an id, latest or latest-full (default: latest).' -x
complete -c pgincr -n '__fish_seen_subcommand_from backup' -l page-map -d 'Where the changed pages come from: auto, wal, summaries, lsn, hash, cross (default: auto).' -x -a 'auto wal summaries lsn hash cross'
complete -c pgincr -n '__fish_seen_subcommand_from backup' -s 'c' -l checkpoint -d 'Checkpoint at the start, fast, spread (default: spread).' -x -a 'fast spread'
complete -c pgincr -n '__fish_seen_subcommand_from backup' -s 'Z' -l compress -d 'Compression: zstd, zstd:1 to zstd:19, lz4 or none (default: zstd).' -x
complete -c pgincr -n '__fish_seen_subcommand_from backup' -s 'r' -l rate -d 'Most to read from the data directory in a second: kilobytes, or with k, M or G.' -x
complete -c pgincr -n '__fish_seen_subcommand_from backup' -l pack-size -d 'Size at which a stored pack is full, 1M to 16G; an interrupted backup loses at most one for each job (default: 256M).' -x
complete -c pgincr -n '__fish_seen_subcommand_from backup' -l annotate -d 'Remark that is kept with the backup; may be repeated.' -x
complete -c pgincr -n '__fish_seen_subcommand_from backup' -l wal -d 'Where the WAL that the backup needs is kept: in the archive, or carried by the backup itself: auto, archive, stream (default: auto).' -x -a 'auto archive stream'
complete -c pgincr -n '__fish_seen_subcommand_from backup' -l archive-timeout -d 'How long to wait until the archive has that WAL (default: 1m).' -x
complete -c pgincr -n '__fish_seen_subcommand_from backup' -l verify-checksums -d 'Pages whose checksums are verified: copied, all, off (default: copied).' -x -a 'copied all off'
complete -c pgincr -n '__fish_seen_subcommand_from backup' -l no-trust-mtime -d 'Look into files even where their times say that nothing was written.'
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a restore -d 'Write a data directory from a backup and what it is built on.'
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l json -d 'Print one JSON document.'
complete -c pgincr -n '__fish_seen_subcommand_from restore' -s 'D' -l pgdata -d 'Directory to write: empty, or with --delta a data directory.' -x -a '(__fish_complete_directories)'
complete -c pgincr -n '__fish_seen_subcommand_from restore' -s 'T' -l tablespace-mapping -d 'Another directory for a tablespace; may be repeated.' -x
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l tablespace-root -d 'Directory for all tablespaces that -T does not move, each under its OID.' -x
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l delta -d 'Rewrite an existing data directory in place, touching only what differs.'
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l discard-wal -d 'With --delta: remove WAL that the old data directory has not archived.'
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l dry-run -d 'Say what would be done and do nothing.'
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l waldir -d 'Another directory for pg_wal.' -x
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l config-to -d 'Directory for configuration files from outside the data directory, each below it at its whole path; / for where they were.' -x
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l database -d 'Restore only this database, and templates, postgres and what all share; may be repeated.' -x
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l standby -d 'Set up a standby instead of a primary.'
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l primary-conninfo -d 'Where the standby streams from; passwords belong into ~/.pgpass.' -x
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l preserve-archive-mode -d 'Leave archive_mode on in a copy of the cluster; normally it is switched off there.'
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l keep-on-failure -d 'Leave what was written when the restore fails.'
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l ignore-space -d 'Restore though the file systems seem too small; for those that compress.'
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l target-time -d 'Recover to this time, 2026-11-23 08:30:00+01 for example.' -x
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l target-lsn -d 'Recover to this WAL position.' -x
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l target-xid -d 'Recover to this transaction.' -x
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l target-name -d 'Recover to this restore point (pg_create_restore_point).' -x
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l target -d 'Recover to the earliest consistent point: immediate.' -x -a 'immediate'
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l target-timeline -d 'Timeline to follow: a number, current or latest.' -x
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l target-exclusive -d 'Stop just before the target, not just after it.'
complete -c pgincr -n '__fish_seen_subcommand_from restore' -l target-action -d 'What the server does at the target: pause, promote or shutdown.' -x -a 'pause promote shutdown'
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a list -d 'List the backups of a cluster.'
complete -c pgincr -n '__fish_seen_subcommand_from list' -l json -d 'Print one JSON document.'
complete -c pgincr -n '__fish_seen_subcommand_from list' -l windows -d 'List what can be restored, by timeline and WAL position, and the gaps in the archived WAL.'
complete -c pgincr -n '__fish_seen_subcommand_from list' -l locks -d 'List who takes, reads or removes backups at the moment.'
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a show -d 'Show one backup.'
complete -c pgincr -n '__fish_seen_subcommand_from show' -l json -d 'Print one JSON document.'
complete -c pgincr -n '__fish_seen_subcommand_from show' -l page -d 'Show one page as it is in this backup: base/5/16384:0, or 1663/5/16384_vm:0; the block is that of the fork.' -x
complete -c pgincr -n '__fish_seen_subcommand_from show' -l extract -d 'Write one file as it is in this backup, base/5/16384 for example, to --output.' -x
complete -c pgincr -n '__fish_seen_subcommand_from show' -s 'o' -l output -d 'With --extract: file to write, which must not exist.' -x
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a verify -d 'Prove that backups can be restored, without restoring them.'
complete -c pgincr -n '__fish_seen_subcommand_from verify' -l json -d 'Print one JSON document.'
complete -c pgincr -n '__fish_seen_subcommand_from verify' -l quick -d 'Do not read packs and WAL: see that all is there, with the right sizes, and readable as far as it must be to find the rest.'
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a check -d 'Look whether everything is set up so that a restore will work.'
complete -c pgincr -n '__fish_seen_subcommand_from check' -l json -d 'Print one JSON document.'
complete -c pgincr -n '__fish_seen_subcommand_from check' -s 'd' -l dbname -d 'Database or connection string (default: postgres).' -x
complete -c pgincr -n '__fish_seen_subcommand_from check' -s 'h' -l host -d 'Host or socket directory.' -x -a '(__fish_complete_directories)'
complete -c pgincr -n '__fish_seen_subcommand_from check' -s 'p' -l port -d 'Port.' -x
complete -c pgincr -n '__fish_seen_subcommand_from check' -s 'U' -l username -d 'Role to connect as.' -x
complete -c pgincr -n '__fish_seen_subcommand_from check' -l nagios -d 'Print one line with performance data and exit as monitoring plugins do: 0 ok, 1 warning, 2 critical.'
complete -c pgincr -n '__fish_seen_subcommand_from check' -l repository-only -d 'Do not connect to the server: look at the repository only.'
complete -c pgincr -n '__fish_seen_subcommand_from check' -l switch-wal -d 'End the server\'s WAL segment and wait until it is in the repository.'
complete -c pgincr -n '__fish_seen_subcommand_from check' -l switch-timeout -d 'How long to wait for that (default: 1m).' -x
complete -c pgincr -n '__fish_seen_subcommand_from check' -l max-backup-age -d 'How old the newest backup may be, 0 for any age (default: 26h).' -x
complete -c pgincr -n '__fish_seen_subcommand_from check' -l max-archive-age -d 'How long WAL may wait to be archived, 0 for any time (default: 1h).' -x
complete -c pgincr -n '__fish_seen_subcommand_from check' -l max-drill-age -d 'How old the newest drill may be (default: any age, or none).' -x
complete -c pgincr -n '__fish_seen_subcommand_from check' -l max-chain -d 'How many backups the newest one\'s chain may have, 0 for any number (default: 60).' -x
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a compact -d 'Turn a chain into one full backup inside the repository.'
complete -c pgincr -n '__fish_seen_subcommand_from compact' -l json -d 'Print one JSON document.'
complete -c pgincr -n '__fish_seen_subcommand_from compact' -l send-rate -d 'Most to write to a repository in a second: kilobytes, or with k, M or G.' -x
complete -c pgincr -n '__fish_seen_subcommand_from compact' -l io-priority -d 'What the disks\' scheduler takes this command for, normal, low, idle (default: normal).' -x -a 'normal low idle'
complete -c pgincr -n '__fish_seen_subcommand_from compact' -l dry-run -d 'Say what would be done and do nothing.'
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a expire -d 'Remove backups that no rule keeps, and the WAL that no backup needs.'
complete -c pgincr -n '__fish_seen_subcommand_from expire' -l json -d 'Print one JSON document.'
complete -c pgincr -n '__fish_seen_subcommand_from expire' -l keep-full -d 'Keep the newest N full backups and all that is built on them.' -x
complete -c pgincr -n '__fish_seen_subcommand_from expire' -l keep-days -d 'Keep what is needed to restore any point of the last D days.' -x
complete -c pgincr -n '__fish_seen_subcommand_from expire' -l keep-daily -d 'Keep the newest backup of each of the last N days that have one (UTC).' -x
complete -c pgincr -n '__fish_seen_subcommand_from expire' -l keep-weekly -d 'The same by ISO weeks, without the WAL behind these backups.' -x
complete -c pgincr -n '__fish_seen_subcommand_from expire' -l keep-monthly -d 'The same by months, without the WAL behind these backups.' -x
complete -c pgincr -n '__fish_seen_subcommand_from expire' -l wal-days -d 'Keep continuous WAL for the last D days only; older backups stay restorable to their own end.' -x
complete -c pgincr -n '__fish_seen_subcommand_from expire' -l damaged -d 'Remove backups that cannot be restored, too.'
complete -c pgincr -n '__fish_seen_subcommand_from expire' -l dry-run -d 'Say what would be done and do nothing.'
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a pin -d 'Keep a backup until it is unpinned.'
complete -c pgincr -n '__fish_seen_subcommand_from pin' -l note -d 'Why, for people.' -x
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a unpin -d 'Let expire remove a backup again.'
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a drill -d 'Rehearse a restore: recover on a scratch server, check, measure, clean up.'
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l json -d 'Print one JSON document.'
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l scratch -d 'Directory to restore to: an empty one, or one to be made (default: a new one in the temporary directory).' -x
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l keep -d 'Leave the recovered data directory, stopped, and say how to start it.'
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l bindir -d 'Directory of PostgreSQL\'s programs (default: where pg_config, PATH or the system\'s packages have the backup\'s version).' -x -a '(__fish_complete_directories)'
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l user -d 'For root: the user to become, because PostgreSQL refuses root; not asked for where --scratch belongs to another user (default: postgres).' -x
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l timeout -d 'How long recovery may take, 0 for any time (default: 4h).' -x
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l set -d 'Setting of the scratch server: shared_buffers=8GB, say, to measure what production would take; may be repeated.' -x
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l amcheck -d 'Whether pg_amcheck looks at every table and B-tree: where it can, must, or not; auto,on,off (default: auto).' -x -a 'auto on off'
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l heapallindexed -d 'Have pg_amcheck prove that each row is in each B-tree: reads far more.'
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l sql -d 'SQL script, - for standard input, that must end without an error; psql runs it.' -x
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l sql-command -d 'The same, given as text.' -x
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l sql-database -d 'Database in which it runs (default: postgres).' -x
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l role -d 'Superuser to connect to the recovered server as (default: found out).' -x
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l ignore-space -d 'Restore though the file systems seem too small; for those that compress.'
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l no-record -d 'Do not write the result into the repository.'
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l target-time -d 'Recover to this time, 2026-11-23 08:30:00+01 for example.' -x
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l target-lsn -d 'Recover to this WAL position.' -x
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l target-xid -d 'Recover to this transaction.' -x
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l target-name -d 'Recover to this restore point (pg_create_restore_point).' -x
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l target -d 'Recover to the earliest consistent point: immediate.' -x -a 'immediate'
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l target-timeline -d 'Timeline to follow: a number, current or latest.' -x
complete -c pgincr -n '__fish_seen_subcommand_from drill' -l target-exclusive -d 'Stop just before the target, not just after it.'
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a mount -d 'Show a backup as a read-only data directory, without restoring it.'
complete -c pgincr -n '__fish_seen_subcommand_from mount' -l allow-other -d 'Let other users read, too, as far as the modes of the files allow; always so for root.'
complete -c pgincr -n '__fish_seen_subcommand_from mount' -l cache -d 'Megabytes of decoded pages that are kept in memory (default: 64).' -x
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a archive-push -d 'Store a WAL file and its page map: for archive_command.'
complete -c pgincr -n '__fish_seen_subcommand_from archive-push' -F
complete -c pgincr -n '__fish_seen_subcommand_from archive-push' -s 'Z' -l compress -d 'Compression: zstd, zstd:1 to zstd:19, lz4 or none (default: zstd).' -x
complete -c pgincr -n '__fish_seen_subcommand_from archive-push' -l backlog -d 'Files waiting behind this one to store, too, with all workers; 0: none (default: 64).' -x
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a archive-get -d 'Fetch a WAL file: for restore_command.'
complete -c pgincr -n '__fish_seen_subcommand_from archive-get' -F
complete -c pgincr -n '__fish_seen_subcommand_from archive-get' -l prefetch -d 'WAL segments to fetch ahead, in the background, during recovery; 0: none (default: 8).' -x
complete -c pgincr -n '__fish_seen_subcommand_from archive-get' -l spool -d 'Where to keep what is fetched ahead (default: pgincr-spool beside %p).' -x
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a receive-wal -d 'Stream WAL through a replication slot, instead of an archive_command.'
complete -c pgincr -n '__fish_seen_subcommand_from receive-wal' -s 'd' -l dbname -d 'Database or connection string (default: postgres).' -x
complete -c pgincr -n '__fish_seen_subcommand_from receive-wal' -s 'h' -l host -d 'Host or socket directory.' -x -a '(__fish_complete_directories)'
complete -c pgincr -n '__fish_seen_subcommand_from receive-wal' -s 'p' -l port -d 'Port.' -x
complete -c pgincr -n '__fish_seen_subcommand_from receive-wal' -s 'U' -l username -d 'Role to connect as.' -x
complete -c pgincr -n '__fish_seen_subcommand_from receive-wal' -l slot -d 'Replication slot, which keeps WAL on the server while nobody receives it (default: pgincr).' -x
complete -c pgincr -n '__fish_seen_subcommand_from receive-wal' -l create-slot -d 'Create the slot if it is not there.'
complete -c pgincr -n '__fish_seen_subcommand_from receive-wal' -l flush-interval -d 'Store what was received of a segment this often: how much a lost server loses (default: 1s).' -x
complete -c pgincr -n '__fish_seen_subcommand_from receive-wal' -l after-gap -d 'Go on although WAL is gone from the server that the repository does not have.'
complete -c pgincr -n '__fish_seen_subcommand_from receive-wal' -s 'Z' -l compress -d 'Compression: zstd, zstd:1 to zstd:19, lz4 or none (default: zstd).' -x
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a key -d 'Manage the keys of an encrypted cluster.'
complete -c pgincr -n '__fish_seen_subcommand_from key; and not __fish_seen_subcommand_from generate list add remove rotate passphrase' -a generate -d 'Make a private key and print its public key.'
complete -c pgincr -n '__fish_seen_subcommand_from key; and __fish_seen_subcommand_from generate' -s 'o' -l output -d 'File for the private key; it must not exist.' -x
complete -c pgincr -n '__fish_seen_subcommand_from key; and not __fish_seen_subcommand_from generate list add remove rotate passphrase' -a list -d 'List who has keys to an encrypted cluster.'
complete -c pgincr -n '__fish_seen_subcommand_from key; and __fish_seen_subcommand_from list' -l json -d 'Print one JSON document.'
complete -c pgincr -n '__fish_seen_subcommand_from key; and not __fish_seen_subcommand_from generate list add remove rotate passphrase' -a add -d 'Give a public key access to an encrypted cluster.'
complete -c pgincr -n '__fish_seen_subcommand_from key; and __fish_seen_subcommand_from add' -l backup-only -d 'For database hosts: take backups and archive WAL, but read neither.'
complete -c pgincr -n '__fish_seen_subcommand_from key; and __fish_seen_subcommand_from add' -l name -d 'What to call it in lists (default: the comment of an SSH key).' -x
complete -c pgincr -n '__fish_seen_subcommand_from key; and not __fish_seen_subcommand_from generate list add remove rotate passphrase' -a remove -d 'Take access to an encrypted cluster away.'
complete -c pgincr -n '__fish_seen_subcommand_from key; and not __fish_seen_subcommand_from generate list add remove rotate passphrase' -a rotate -d 'Encrypt new objects with new keys.'
complete -c pgincr -n '__fish_seen_subcommand_from key; and not __fish_seen_subcommand_from generate list add remove rotate passphrase' -a passphrase -d 'Set or replace the passphrase of an encrypted cluster.'
complete -c pgincr -n '__fish_seen_subcommand_from key; and __fish_seen_subcommand_from passphrase' -l new-passphrase-file -d 'File with the new passphrase.' -x
complete -c pgincr -n '__fish_seen_subcommand_from key; and __fish_seen_subcommand_from passphrase' -l new-passphrase-command -d 'Shell command that prints the new passphrase.' -x
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a pagemap -d 'Look at page maps, or make those that are missing.'
complete -c pgincr -n '__fish_seen_subcommand_from pagemap; and not __fish_seen_subcommand_from show build' -a show -d 'List the stored page maps, or print what one of them or a range of WAL holds.'
complete -c pgincr -n '__fish_seen_subcommand_from pagemap; and __fish_seen_subcommand_from show' -s 'd' -l dbname -d 'Database or connection string (default: postgres).' -x
complete -c pgincr -n '__fish_seen_subcommand_from pagemap; and __fish_seen_subcommand_from show' -s 'h' -l host -d 'Host or socket directory.' -x -a '(__fish_complete_directories)'
complete -c pgincr -n '__fish_seen_subcommand_from pagemap; and __fish_seen_subcommand_from show' -s 'p' -l port -d 'Port.' -x
complete -c pgincr -n '__fish_seen_subcommand_from pagemap; and __fish_seen_subcommand_from show' -s 'U' -l username -d 'Role to connect as.' -x
complete -c pgincr -n '__fish_seen_subcommand_from pagemap; and __fish_seen_subcommand_from show' -l json -d 'Print one JSON document.'
complete -c pgincr -n '__fish_seen_subcommand_from pagemap; and __fish_seen_subcommand_from show' -l from -d 'Print what changed since this WAL position, or since the start of this backup.' -x
complete -c pgincr -n '__fish_seen_subcommand_from pagemap; and __fish_seen_subcommand_from show' -l to -d 'Where the range ends: a WAL position, or the start of a backup (default: the end of the archived WAL).' -x
complete -c pgincr -n '__fish_seen_subcommand_from pagemap; and __fish_seen_subcommand_from show' -l timeline -d 'Timeline on which the range ends (default: that of the backup in --to, else the newest one that --from is on).' -x
complete -c pgincr -n '__fish_seen_subcommand_from pagemap; and __fish_seen_subcommand_from show' -s 'D' -l pgdata -d 'Data directory whose pg_wal has what is not archived yet; the default of --to is then its newest checkpoint, if that is later.' -x -a '(__fish_complete_directories)'
complete -c pgincr -n '__fish_seen_subcommand_from pagemap; and __fish_seen_subcommand_from show' -l names -d 'Ask the server for the names of databases and relations; -d, -h, -p and -U on the command line do so, too.'
complete -c pgincr -n '__fish_seen_subcommand_from pagemap; and not __fish_seen_subcommand_from show build' -a build -d 'Make the page maps that archived WAL segments lack.'
complete -c pgincr -n '__fish_seen_subcommand_from pagemap; and __fish_seen_subcommand_from build' -l json -d 'Print one JSON document.'
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a report -d 'Draw the backups of a cluster on one HTML page.'
complete -c pgincr -n '__fish_seen_subcommand_from report' -s 'd' -l dbname -d 'Database or connection string (default: postgres).' -x
complete -c pgincr -n '__fish_seen_subcommand_from report' -s 'h' -l host -d 'Host or socket directory.' -x -a '(__fish_complete_directories)'
complete -c pgincr -n '__fish_seen_subcommand_from report' -s 'p' -l port -d 'Port.' -x
complete -c pgincr -n '__fish_seen_subcommand_from report' -s 'U' -l username -d 'Role to connect as.' -x
complete -c pgincr -n '__fish_seen_subcommand_from report' -s 'o' -l output -d 'HTML file to write, replacing one that is there.' -x
complete -c pgincr -n '__fish_seen_subcommand_from report' -l changes -d 'Newest incremental backups that are searched for what changes most (default: 60).' -x
complete -c pgincr -n '__fish_seen_subcommand_from report' -l relations -d 'Most relations to show (default: 30).' -x
complete -c pgincr -n '__fish_seen_subcommand_from report' -l names -d 'Ask the server for the names of databases and relations; -d, -h, -p and -U on the command line do so, too.'
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a config -d 'Show where the values of flags come from.'
complete -c pgincr -n '__fish_seen_subcommand_from config; and not __fish_seen_subcommand_from show' -a show -d 'Print the value that each flag has without being given, and where it comes from.'
complete -c pgincr -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show' -l json -d 'Print one JSON document.'
complete -c pgincr -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show' -l all -d 'Print flags that have their default or no value, too.'
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a demo -d 'Show it all on a throwaway cluster: backups under load, restore, comparison.'
complete -c pgincr -n '__fish_seen_subcommand_from demo' -l bindir -d 'Directory of PostgreSQL\'s programs (default: where pg_config, PATH or the system\'s packages have them).' -x -a '(__fish_complete_directories)'
complete -c pgincr -n '__fish_seen_subcommand_from demo' -l scale -d 'Size of the demonstration\'s tables, as of pgbench (default: 10).' -x
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a version -d 'Show the version of pgincr and of the formats it knows.'
complete -c pgincr -n '__fish_seen_subcommand_from version' -l json -d 'Print one JSON document.'
complete -c pgincr -n 'not __fish_seen_subcommand_from init backup restore list show verify check compact expire pin unpin drill mount archive-push archive-get receive-wal key pagemap report config demo version completion' -a completion -d 'Print the completion script of a shell.'
complete -c pgincr -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'
complete -c pgincr -s 'R' -l repo -d 'Repository: /path, s3://bucket/prefix, gs://bucket/prefix, azblob://container/prefix or sftp://user@host/path (docs/storage.md); may be repeated, so that there are several.' -x -a '(__fish_complete_directories)'
complete -c pgincr -l cluster -d 'Which cluster in the repository (default: main).' -x
complete -c pgincr -l config -d 'Configuration file (YAML). Order: flag, environment, file, default.' -r -F
complete -c pgincr -s 'j' -l jobs -d 'Parallel workers (default: the number of CPUs).' -x
complete -c pgincr -s 'P' -l progress -d 'Show progress: a bar on a terminal, otherwise a line every few seconds.'
complete -c pgincr -s 'q' -l quiet -d 'Print warnings and errors only; goes before --verbose.'
complete -c pgincr -s 'v' -l verbose -d 'Print more.'
complete -c pgincr -l log-format -d 'Messages on stderr as text, json (default: text).' -x -a 'text json'
complete -c pgincr -l identity -d 'File with a private key to an encrypted cluster: of pgincr key generate, age-keygen or ssh-keygen; may be repeated.' -x
complete -c pgincr -l passphrase-file -d 'File with the passphrase of an encrypted cluster; PGINCR_PASSPHRASE is the passphrase itself.' -x
complete -c pgincr -l passphrase-command -d 'Shell command that prints that passphrase.' -x
complete -c pgincr -l metrics-file -d 'File for Prometheus\' node exporter that commands which do work replace, *.prom in its textfile directory.' -x
complete -c pgincr -l hook-before -d 'Shell command that runs before such a command, and keeps it from running by failing.' -x
complete -c pgincr -l hook-after -d 'Shell command that runs after it, whatever came of it, with the outcome in PGINCR_* variables.' -x
complete -c pgincr -s '?' -l help -d 'Show help and exit.'
