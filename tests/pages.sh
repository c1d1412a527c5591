# pages.sh: a Markdown page's commands, run as they stand there; sourced behind lib.sh. A page speaks of /etc/walferry.conf and
# /var/lib/postgresql/15/main, so its blocks run on "hosts": each a directory $T/hosts/NAME that is the root of a user and mount
# namespace of the user postgres (tests/pages/host). A scenario reads
#   host db                                  # a machine with walferry's programs and no cluster
#   host_cluster db                          # Debian's 15/main; "sql db ..." talks to it
#   page docs/runbooks/lost-table.md
#   page_says '2026-11-19 14:29:59+00' "$instant"    # from here on a word of the page means this
#   follow db "Look"                         # runs all ```sh blocks below that heading, in one shell, and expects status 0
#   page_end                                 # each block was run, or is marked in the page with the reason why not
# Marks, right above a block: <!-- not run: REASON -->, <!-- run by: tests/FILE --> (which another test runs).

unshare --user --map-current-user --keep-caps --mount true 2>/dev/null || skip "user and mount namespaces are not to be had here"
secret_place 'hosts/*/etc/*.conf' 'page/text/*' page/script 'hosts/*/tmp/page.sh'

host() { # NAME
    local root=$T/hosts/$1 path
    mkdir -p "$root/.local" "$root/etc" "$root/tmp" "$root/mnt" "$root/run/postgresql" "$root/var/"{tmp,log/postgresql,lib/postgresql,lib/walferry/main,backups/walferry} "$T/run/$1"
    chmod 700 "$root/var/lib/walferry/main" "$root/var/backups/walferry"
    for path in bin sbin lib lib64; do ln -s "usr/$path" "$root/$path"; done
    ln -s /run "$root/var/run"
    cp /etc/{passwd,group,nsswitch.conf,hosts,localtime,ld.so.cache} "$root/etc"
    cp -r --no-preserve=mode /etc/postgresql-common "$root/etc" 2>/dev/null || true
    : >"$root/.bind"
    host_bind "$1" "$(dirname "$(dirname "$T")")" "$(dirname "$(dirname "$T")")"
    host_bind "$1" "$T/run/$1" /run/postgresql
    cp -r "$PROGRAMS" "$root/.local/bin"
}
host_bind() { printf '%s %s\n' "$2" "$3" >>"$T/hosts/$1/.bind"; } # NAME FROM TO: a directory or file of this machine is there as TO
on() { # NAME COMMAND...: there, as postgres logs in
    local root=$T/hosts/$1
    shift
    env -i HOME=/var/lib/postgresql LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin WALFERRY_TEST="$T" \
        unshare --user --map-current-user --keep-caps --mount "$here/pages/host" "$root" env -C /var/lib/postgresql "$@"
}
host_config() { # NAME [EXTRA-LINES]: README's configuration, for the repositories that the page has
    printf '[cluster]\nname = main\npgdata = /var/lib/postgresql/%s/main\nconninfo = host=/var/run/postgresql user=postgres\n%s\n' \
        "$major" "${2-$'[repository local]\nurl = file:///var/backups/walferry'}" >"$T/hosts/$1/etc/walferry.conf"
    chmod 600 "$T/hosts/$1/etc/walferry.conf"
}
s3_section() { # NAME FOLDER [EXTRA-LINES]: a repository in the S3 server of this run
    printf '[repository %s]\nurl = s3://%s/%s\nregion = %s\nendpoint = %s\nca_file = %s\naccess_key = %s\nsecret_key = %s\n%s\n' \
        "$1" "$S3_BUCKET" "$S3_PREFIX/$2" "$S3_REGION" "$S3_ENDPOINT" "$S3_CA" "$S3_ACCESS_KEY" "$S3_SECRET_KEY" "${3:-}"
}
# host_cluster NAME [INITDB-OPTION...]: 15/main with README's settings, running; "sql NAME" asks it.
host_cluster() {
    local name=$1 etc=$T/hosts/$1/etc/postgresql/$major/main
    shift
    [ -x "/usr/lib/postgresql/$major/bin/postgres" ] || skip "the pages speak of Debian's PostgreSQL, and that of $PG_BIN is not"
    on "$name" pg_createcluster "$major" main -- -A trust --no-sync --wal-segsize=1 "$@" >"$T/initdb.log" 2>&1 ||
        { cat "$T/initdb.log"; fail "pg_createcluster"; }
    mkdir -p "$etc/conf.d"
    cat >"$etc/conf.d/walferry.conf" <<'CONF'
archive_mode = on
archive_command = '/usr/local/bin/wal-push %p'
archive_timeout = 300
CONF
    cat >"$etc/conf.d/test.conf" <<'CONF'
listen_addresses = ''
ssl = off
fsync = off
dynamic_shared_memory_type = mmap
shared_buffers = 32MB
max_connections = 30
wal_retrieve_retry_interval = 200ms
CONF
    host_start "$name"
}
host_start() { on "$1" pg_ctlcluster "$major" main start >"$T/start.log" 2>&1 || { cat "$T/start.log"; tail "$T/hosts/$1/var/log/postgresql/"*; fail "15/main did not start"; }; }
host_stop() { on "$1" pg_ctlcluster "$major" main stop -m "${2:-fast}" >"$T/stop.log" 2>&1 || { cat "$T/stop.log"; fail "15/main did not stop"; }; } # NAME [MODE]
# host_dies NAME: power and disk of the machine are gone at once; what was bound there (repositories) is not its own.
host_dies() {
    local pid shared_memory name=$1 root=$T/hosts/$1
    for pid in "$root"/var/lib/postgresql/*/*/postmaster.pid; do
        shared_memory=$(sed -n '7s/.* //p' "$pid") pid=$(head -1 "$pid")
        # shellcheck disable=SC2046
        kill -KILL "$pid" $(cat "/proc/$pid/task/$pid/children") 2>/dev/null || true
        while grep -qs . "/proc/$pid/cmdline"; do sleep 0.05; done
        [ -z "$shared_memory" ] || ipcrm -m "$shared_memory" 2>/dev/null || true
    done
    rm -rf "$root" "${T:?}/run/$name"
}

# ---- a page

page() { # PAGE [as-it-is]: of the source tree; its 15 is the version of the servers, but with "as-it-is"
    page=$1
    rm -rf "$T/page" && mkdir -p "$T/page/text" "$T/page/ran"
    "$here/pages/blocks" "$SOURCE/$page" "$T/page/text" >"$T/page/blocks" || fail "$page can't be read"
    expect_true "$page has commands" test -s "$T/page/blocks"
    [ "$major" = 15 ] || [ -n "${2:-}" ] || sed -i "s|\(/postgresql/\)15/|\1$major/|g; s|\(ctlcluster \)15 |\1$major |g; s|\(postgresql-\)15|\1$major|g" "$T/page/text"/*
    : >"$T/page/said"
}
page_says() { # WORD MEANING: from here on; a word that no block has is a mistake
    local block found=''
    for block in "$T/page/text"/*; do
        ! grep -qF -- "$1" "$block" || found=1
        WORD=$1 MEANING=$2 perl -0pi -e 's/\Q$ENV{WORD}\E/$ENV{MEANING}/g' "$block"
    done
    expect_true "a block of $page says \"$1\"" test -n "$found"
}
blocks_below() { # HEADING[#N]: sets $blocks to the numbers of those that are to be run, all or the Nth
    local number heading mark
    blocks=()
    while IFS=$'\t' read -r number heading mark; do
        [ "$heading" != "${1%#[0-9]}" ] || [ -n "$mark" ] || blocks+=("$number")
    done <"$T/page/blocks"
    [[ $1 != *#[0-9] ]] || blocks=("${blocks[@]:${1##*#} - 1:1}")
    expect_true "$page has commands below \"$1\"" test ${#blocks[@]} -gt 0
}
# follow HOST HEADING[#N] [STATUS]: what is below the heading (its block N), in one shell that ends at the first failure, in the
# directory $page_directory; STATUS "fails": any but 0. What is marked is left out. $output: what was printed.
follow() {
    local status=0 blocks
    blocks_below "$2"
    step "$page, on $1: $2"
    (cd "$T/page/text" && cat "${blocks[@]}") >"$T/page/script"
    sed 's/^/  $ /' "$T/page/script"
    cp "$T/page/script" "$T/hosts/$1/tmp/page.sh"
    on "$1" env -C "${page_directory:-/var/lib/postgresql}" bash -eu -o pipefail /tmp/page.sh >"$T/page/output" 2>&1 || status=$?
    output=$(cat "$T/page/output")
    printf '%s\n' "${output//$T\//}" | sed 's/^/    /'
    [ "${3:-}${status#0}" = "fails$status" ] || expect_equal "exit status of the commands below \"$2\"" "${3:-0}" "$status"
    (cd "$T/page/ran" && touch "${blocks[@]}")
}
# paste HOST HEADING[#N]: as by a hand into a login shell: nothing ends at a failure but what the block itself makes end. $output.
paste() {
    local blocks
    blocks_below "$2"
    step "$page, on $1: $2, pasted"
    (cd "$T/page/text" && cat "${blocks[@]}") >"$T/page/script"
    on "$1" env -C "${page_directory:-/var/lib/postgresql}" bash <"$T/page/script" >"$T/page/output" 2>&1 || true
    output=$(cat "$T/page/output")
    printf '%s\n' "${output//$T\//}" | sed 's/^/    /'
}
leave() { # HEADING[#N] REASON: this run does not follow it, another does
    local blocks
    blocks_below "$1"
    echo "-- $page, $1: not in this run: $2"
    (cd "$T/page/ran" && touch "${blocks[@]}")
}
page_end() {
    local number heading mark left=()
    while IFS=$'\t' read -r number heading mark; do
        case $mark in
        'not run: '*) echo "-- $page, $heading: not run: ${mark#not run: }" ;;
        'run by: '*) echo "-- $page, $heading: run by ${mark#run by: }" ;;
        *) [ -e "$T/page/ran/$number" ] || left+=("$heading") ;;
        esac
    done <"$T/page/blocks"
    expect_equal "headings of $page whose commands were not run" "" "${left[*]}"
    echo "$page: $(find "$T/page/ran" -type f | wc -l) of $(wc -l <"$T/page/blocks") blocks were run"
}
