# shellcheck shell=bash
#
# A private PostgreSQL, for the scripts that source this file:
#
#	sandbox_open [package ...]		install what is missing, make the sandbox
#	sandbox_install [make argument ...]	build the extension and install it
#	sandbox_start [setting=value ...]	start a server
#	sandbox_run command ...			run something in there
#
# The sandbox is a temporary directory of an unprivileged user, and holds
#
#	tree/	a copy of the project, so that building leaves nothing in the original
#	usr/	a copy of the server's programs and files.  PostgreSQL finds all its
#		files by way of its programs' place, and so builds, installs and
#		loads extensions within the copy
#	data/	the server's data; its socket is in socket/, and it has no port
#
# It goes away, with all servers in it, when the script that sourced this file
# ends, however it ends.  NBM_KEEP=1 leaves the files there to be looked at.
#
# PG_CONFIG chooses another server than Debian's PostgreSQL 15.  All variables
# named NBM_* are passed on to the commands, and no others.  NBM_DATA says where
# real notebooks are; that is ../shared/data, where there is such a folder.

sandbox_source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
sandbox=

exec </dev/null
umask 022
trap sandbox_close EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

sandbox_say() {
	printf '== %s\n' "$*"
}

sandbox_die() {
	printf '%s\n' "$*" >&2
	exit 1
}

# Runs a command as the sandbox's owner.
sandbox_as_owner() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --reuid="$sandbox_owner" --init-groups \
			--regid="$(id -g "$sandbox_owner")" "$@"
	else
		"$@"
	fi
}

# Runs a command as the owner, in the copied tree, in an environment of its own.
sandbox_run() (
	cd "$sandbox/tree" && sandbox_as_owner env -i "${sandbox_env[@]}" "$@"
)

# The same, heard only when it fails.
sandbox_quietly() {
	local output
	output=$(sandbox_run "$@" 2>&1) ||
		{ printf '%s\n' "$output" >&2; return 1; }
}

# Installs the Debian packages that are missing among those given.
sandbox_packages() {
	local package missing=() as_root=() output
	command -v dpkg-query >/dev/null || return 0
	for package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" \
			= installed ] || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0

	sandbox_say "installing ${missing[*]}"
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null ||
			sandbox_die "please install, as root: ${missing[*]}"
		as_root=(sudo)
	fi
	as_root+=(env DEBIAN_FRONTEND=noninteractive
		apt-get -qq -y -o DPkg::Lock::Timeout=300)
	output=$("${as_root[@]}" update 2>&1 &&
		"${as_root[@]}" install --no-install-recommends "${missing[@]}" 2>&1) ||
		sandbox_die "$output"
}

# Makes the temporary directory where TMPDIR says, or else in /tmp if the owner
# cannot reach it there, or if its name is none for make or for a unix socket.
sandbox_directory() {
	local place
	for place in "${TMPDIR:-/tmp}" /tmp; do
		sandbox=$(realpath "$(mktemp -d "$place/nbm-sandbox.XXXXXX")") || continue
		chown "$sandbox_owner" "$sandbox"
		if [[ $sandbox =~ ^[[:alnum:]/._+-]{1,64}$ ]] &&
			sandbox_as_owner test -w "$sandbox"; then
			return
		fi
		rmdir "$sandbox"
	done
	sandbox=
	sandbox_die "no place for a temporary directory"
}

sandbox_open() {
	local packages=(gcc make perl "$@") directory name data
	if [ -z "${PG_CONFIG:-}" ]; then
		PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config
		packages+=(postgresql-15 postgresql-server-dev-15)
	fi
	sandbox_packages "${packages[@]}"
	PG_CONFIG=$("$PG_CONFIG" --bindir)/pg_config || sandbox_die "set PG_CONFIG"

	sandbox_owner=$(id -un)
	if [ "$(id -u)" -eq 0 ]; then
		sandbox_owner=$(id -un postgres 2>/dev/null || echo nobody)
	fi
	sandbox_directory
	mkdir "$sandbox"/{data,home,socket,tmp,tree}

	# What the server is made of is copied, what one builds with is linked.
	for name in bindir pkglibdir sharedir libdir includedir; do
		directory=$("$PG_CONFIG" --$name)
		[ ! -e "$sandbox$directory" ] || continue
		mkdir -p "$sandbox$(dirname "$directory")"
		case $name in
			libdir | includedir) ln -s "$directory" "$sandbox$directory" ;;
			*) cp -R "$directory" "$sandbox$directory" ;;
		esac
	done
	PG_CONFIG=$sandbox$PG_CONFIG

	# What git ignores is no part of the project.
	tar -C "$sandbox_source" --exclude-vcs \
		--exclude-from="$sandbox_source/.gitignore" -c . |
		tar -C "$sandbox/tree" --no-same-owner -x
	chown -RhP "$sandbox_owner" "$sandbox"

	sandbox_env=(
		PATH="$(dirname "$PG_CONFIG"):/usr/local/bin:/usr/bin:/bin"
		HOME="$sandbox/home" TMPDIR="$sandbox/tmp" TERM="${TERM:-dumb}"
		LANG=C.UTF-8 LC_ALL=C.UTF-8 PG_CONFIG="$PG_CONFIG"
		PGHOST="$sandbox/socket" PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
		TEMP_CONFIG="$sandbox/server.conf"
	)
	data=$(realpath -m "${NBM_DATA:-$sandbox_source/../shared/data}")
	unset NBM_DATA
	for name in "${!NBM_@}"; do
		sandbox_env+=("$name=${!name}")
	done
	if sandbox_as_owner test -r "$data" -a -x "$data"; then
		sandbox_env+=(NBM_DATA="$data")
	fi

	# Nothing below may ever reach a server of the machine.
	for name in bindir pkglibdir sharedir pgxs; do
		[[ $(sandbox_run "$PG_CONFIG" --$name) == "$sandbox"/* ]] ||
			sandbox_die "this PostgreSQL cannot be copied: its $name stays behind"
	done
}

sandbox_install() {
	sandbox_say "building with $("$PG_CONFIG" --version)"
	sandbox_quietly make -s -j"$(nproc)" with_llvm=no "$@" install
}

# Starts the server, with settings that TAP tests use for theirs as well.
sandbox_start() {
	printf '%s\n' "$@" >"$sandbox/server.conf"
	sandbox_quietly initdb -D "$sandbox/data" -U postgres -A trust -E UTF8 -N &&
		cat "$sandbox/server.conf" >>"$sandbox/data/postgresql.conf" &&
		sandbox_quietly pg_ctl -w -D "$sandbox/data" -l "$sandbox/server.log" \
			-o "-k '$sandbox/socket' -c listen_addresses=" start ||
		{ cat "$sandbox/server.log" >&2; return 1; }
}

# Stops all servers, those that tests left behind too, and removes the sandbox.
sandbox_close() {
	local pidfile
	trap '' HUP INT TERM
	[ -d "$sandbox" ] || return 0
	find "$sandbox" -name postmaster.pid | while read -r pidfile; do
		sandbox_quietly pg_ctl -m immediate -D "$(dirname "$pidfile")" stop
	done
	if [ -n "${NBM_KEEP:-}" ]; then
		sandbox_say "kept in $sandbox"
	else
		rm -rf "$sandbox"
	fi
}
