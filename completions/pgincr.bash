# bash completion of pgincr, made by "pgincr completion bash"
_pgincr() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path="" word
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case "$path $word" in
		" archive-get") path=" archive-get" ;;
		" archive-push") path=" archive-push" ;;
		" backup") path=" backup" ;;
		" completion") path=" completion" ;;
		" demo") path=" demo" ;;
		" init") path=" init" ;;
		" list") path=" list" ;;
		" pagemap") path=" pagemap" ;;
		" pagemap build") path=" pagemap build" ;;
		" pagemap show") path=" pagemap show" ;;
		" restore") path=" restore" ;;
		" show") path=" show" ;;
		" verify") path=" verify" ;;
		" version") path=" version" ;;
		esac
	done
	local words=""
	case "$path $prev" in
	" archive-get --repo"|" archive-get -R") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" archive-get --cluster") return ;;
	" archive-get --config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" archive-get --jobs"|" archive-get -j") return ;;
	" archive-get --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	" archive-push --compress"|" archive-push -Z") return ;;
	" archive-push --repo"|" archive-push -R") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" archive-push --cluster") return ;;
	" archive-push --config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" archive-push --jobs"|" archive-push -j") return ;;
	" archive-push --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	" backup --dbname"|" backup -d") return ;;
	" backup --host"|" backup -h") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" backup --port"|" backup -p") return ;;
	" backup --username"|" backup -U") return ;;
	" backup --pgdata"|" backup -D") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" backup --parent") return ;;
	" backup --page-map") COMPREPLY=($(compgen -W "auto wal summaries lsn hash cross" -- "$cur")); return ;;
	" backup --checkpoint"|" backup -c") COMPREPLY=($(compgen -W "fast spread" -- "$cur")); return ;;
	" backup --compress"|" backup -Z") return ;;
	" backup --rate"|" backup -r") return ;;
	" backup --annotate") return ;;
	" backup --wal") COMPREPLY=($(compgen -W "auto archive stream" -- "$cur")); return ;;
	" backup --archive-timeout") return ;;
	" backup --verify-checksums") COMPREPLY=($(compgen -W "copied all off" -- "$cur")); return ;;
	" backup --repo"|" backup -R") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" backup --cluster") return ;;
	" backup --config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" backup --jobs"|" backup -j") return ;;
	" backup --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	" completion --repo"|" completion -R") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" completion --cluster") return ;;
	" completion --config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" completion --jobs"|" completion -j") return ;;
	" completion --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	" demo --bindir") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" demo --scale") return ;;
	" demo --repo"|" demo -R") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" demo --cluster") return ;;
	" demo --config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" demo --jobs"|" demo -j") return ;;
	" demo --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	" init --dbname"|" init -d") return ;;
	" init --host"|" init -h") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" init --port"|" init -p") return ;;
	" init --username"|" init -U") return ;;
	" init --pgdata"|" init -D") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" init --repo"|" init -R") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" init --cluster") return ;;
	" init --config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" init --jobs"|" init -j") return ;;
	" init --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	" list --repo"|" list -R") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" list --cluster") return ;;
	" list --config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" list --jobs"|" list -j") return ;;
	" list --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	" pagemap --repo"|" pagemap -R") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" pagemap --cluster") return ;;
	" pagemap --config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" pagemap --jobs"|" pagemap -j") return ;;
	" pagemap --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	" pagemap build --repo"|" pagemap build -R") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" pagemap build --cluster") return ;;
	" pagemap build --config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" pagemap build --jobs"|" pagemap build -j") return ;;
	" pagemap build --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	" pagemap show --dbname"|" pagemap show -d") return ;;
	" pagemap show --host"|" pagemap show -h") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" pagemap show --port"|" pagemap show -p") return ;;
	" pagemap show --username"|" pagemap show -U") return ;;
	" pagemap show --from") return ;;
	" pagemap show --to") return ;;
	" pagemap show --timeline") return ;;
	" pagemap show --pgdata"|" pagemap show -D") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" pagemap show --repo"|" pagemap show -R") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" pagemap show --cluster") return ;;
	" pagemap show --config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" pagemap show --jobs"|" pagemap show -j") return ;;
	" pagemap show --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	" restore --pgdata"|" restore -D") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" restore --tablespace-mapping"|" restore -T") return ;;
	" restore --tablespace-root") return ;;
	" restore --waldir") return ;;
	" restore --primary-conninfo") return ;;
	" restore --target-time") return ;;
	" restore --target-lsn") return ;;
	" restore --target-xid") return ;;
	" restore --target-name") return ;;
	" restore --target") COMPREPLY=($(compgen -W "immediate" -- "$cur")); return ;;
	" restore --target-timeline") return ;;
	" restore --target-action") COMPREPLY=($(compgen -W "pause promote shutdown" -- "$cur")); return ;;
	" restore --repo"|" restore -R") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" restore --cluster") return ;;
	" restore --config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" restore --jobs"|" restore -j") return ;;
	" restore --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	" show --repo"|" show -R") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" show --cluster") return ;;
	" show --config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" show --jobs"|" show -j") return ;;
	" show --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	" verify --repo"|" verify -R") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" verify --cluster") return ;;
	" verify --config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" verify --jobs"|" verify -j") return ;;
	" verify --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	" version --repo"|" version -R") COMPREPLY=($(compgen -d -- "$cur")); return ;;
	" version --cluster") return ;;
	" version --config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
	" version --jobs"|" version -j") return ;;
	" version --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	esac
	case "$path" in
	"") words="init backup restore list show verify archive-push archive-get pagemap demo version completion --repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	" archive-get") words="--repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	" archive-push") words="--compress --repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	" backup") words="--dbname --host --port --username --json --pgdata --incremental --parent --page-map --checkpoint --compress --rate --annotate --wal --archive-timeout --verify-checksums --no-trust-mtime --repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	" completion") words="bash zsh fish --repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	" demo") words="--bindir --scale --repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	" init") words="--dbname --host --port --username --json --pgdata --repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	" list") words="--json --repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	" pagemap") words="show build --repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	" pagemap build") words="--json --repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	" pagemap show") words="--dbname --host --port --username --json --from --to --timeline --pgdata --names --repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	" restore") words="--json --pgdata --tablespace-mapping --tablespace-root --delta --discard-wal --dry-run --waldir --standby --primary-conninfo --preserve-archive-mode --keep-on-failure --ignore-space --target-time --target-lsn --target-xid --target-name --target --target-timeline --target-action --target-exclusive --repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	" show") words="--json --repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	" verify") words="--json --repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	" version") words="--json --repo --cluster --config --jobs --progress --quiet --verbose --log-format --help" ;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _pgincr pgincr
