# environment.sh: where PostgreSQL is, who may run it, and how it is ended; sourced by tests/run, tests/demo and tests/lib.sh.

# Of several versions the newest, unless PG_BIN names one.
: "${PG_BIN:=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -t/ -k5n | tail -1)}"
[ -x "$PG_BIN/initdb" ] || PG_BIN=$(dirname "$(command -v initdb || echo /nonexistent/initdb)")
[ -x "$PG_BIN/initdb" ] || { echo "${0##*/}: found no PostgreSQL server; set PG_BIN to the directory of initdb" >&2; exit 1; }

# make_work_directory NAME: sets $work, a new directory that the unprivileged user owns and everybody may enter, and the
# beginnings of a command: unprivileged=(as that user) and clean=(without the caller's PG*, AWS_* and WALFERRY_* variables).
make_work_directory() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/$1.XXXXXX")
    chmod 755 "$work"
    unprivileged=()
    if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root: the package's user does it
        chown postgres:postgres "$work"
        unprivileged=(setpriv --reuid=postgres --regid=postgres --init-groups)
    fi
    clean=(env -i --default-signal=INT,QUIT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        "HOME=$work" LANG=C.UTF-8 "PG_BIN=$PG_BIN")
}

# Processes that were started with WALFERRY_TEST=$1, or something below it, in their environment (children of a shell that set
# it after its own start are found, the shell itself is not), or with a path below $1 among their arguments: walferry's
# programs let nobody read their environment, for it may hold a secret key.
processes_of() {
    local pid
    for pid in $({ grep -lszE "^WALFERRY_TEST=$1(/.*)?\$" /proc/[0-9]*/environ; grep -lszF "$1/" /proc/[0-9]*/cmdline; } |
        cut -d/ -f3 | sort -u || true); do
        # a subshell of this one has its arguments, and may lie below $1 as well
        [ "$pid" = $$ ] || [ ! -d "/proc/$pid" ] || cmp -s "/proc/$$/cmdline" "/proc/$pid/cmdline" || echo "$pid"
    done
}
# Ends them: SIGQUIT (PostgreSQL's immediate shutdown, which leaves no shared memory), after ten seconds SIGKILL.
# Says which did not end by themselves.
end_processes_of() {
    local pid round
    ulimit -c 0
    for round in $(seq 100); do
        # shellcheck disable=SC2046
        case $round in 1 | 20 | 50) kill -QUIT $(processes_of "$1") 2>/dev/null ;; esac
        [ -n "$(processes_of "$1")" ] || return 0
        sleep 0.1
    done
    for pid in $(processes_of "$1"); do
        echo "left behind: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"
        kill -KILL "$pid"
    done
}

# destroy_server DATA-DIRECTORY: SIGKILL to the postmaster and all its children at once, as when the machine goes. What a real
# machine would not keep either goes with it: the shared memory segment and the socket.
destroy_server() {
    local postmaster shared_memory lines
    mapfile -t lines <"$1/postmaster.pid" # pid, directory, time, port, socket directory, address, shared memory key and id
    postmaster=${lines[0]}
    shared_memory=${lines[6]##* }
    # shellcheck disable=SC2046
    kill -KILL "$postmaster" $(cat "/proc/$postmaster/task/$postmaster/children") 2>/dev/null || true # they end by themselves too
    while grep -qs . "/proc/$postmaster/cmdline"; do sleep 0.05; done # a zombie has none
    rm -f "${lines[4]}/.s.PGSQL.${lines[3]}" "${lines[4]}/.s.PGSQL.${lines[3]}.lock"
    [ -z "$shared_memory" ] || ipcrm -m "$shared_memory" 2>/dev/null || true
}
