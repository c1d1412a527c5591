#!/bin/bash
# goal: a clean Debian 12 with systemd: the package is built, installed, set up by README and docs/install.md as they stand there, upgraded, removed
# stores: none
# as: caller
# full: yes
# limit: 400
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || skip "needs root, for a machine of its own"
for program in mmdebstrap systemd-nspawn; do command -v "$program" >/dev/null || skip "$program is not installed"; done
mirror() { apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' "Release: $1" 2>/dev/null | sed -n 1p; } # CODENAME
[ -n "$(mirror bookworm)" ] || skip "apt is not set up with a mirror of Debian's bookworm"

quietly() { "$@" >"$T/command.log" 2>&1 || { tail -n 60 "$T/command.log"; fail "failed: $*"; }; } # COMMAND...: its output only if so
blocks_of() { # PAGE: its blocks are files in page/
    rm -rf page && mkdir page
    "$here/pages/blocks" "$SOURCE/$1" page >blocks || fail "$1 can't be read"
}
block() { # HEADING [N]: the N-th block of commands below it
    local number
    number=$(awk -F'\t' -v heading="$1" '$2 == heading { print $1 }' blocks | sed -n "${2:-1}p")
    [ -n "$number" ] || fail "no block ${2:-1} below \"$1\""
    cat "page/$number"
}
# Without a service manager in it; with the network of this one. Nothing in it listens.
inside() { SYSTEMD_NSPAWN_TMPFS_TMP=0 systemd-nspawn --quiet --register=no --keep-unit --resolv-conf=copy-host -D "$T/machines/$1" --setenv=DEBIAN_FRONTEND=noninteractive "${@:2}"; } # MACHINE COMMAND...
boot() { # MACHINE: sets $leader
    systemd-nspawn --quiet --register=no --keep-unit --resolv-conf=copy-host -D "$T/machines/$1" --boot --kill-signal=SIGRTMIN+3 >"boot-$1.log" 2>&1 &
    nspawn=$! leader=''
    wait_until 60 "the first process of $1" leader_is_there
    wait_until 120 "the start of $1" booted
}
leader_is_there() {
    local pid=$nspawn
    while pid=$(cut -d' ' -f1 "/proc/$pid/task/$pid/children") && [ -n "$pid" ]; do
        ! grep -q '^NSpid:.*[[:space:]]1$' "/proc/$pid/status" || { leader=$pid && return 0; }
    done
    return 1
}
booted() { there systemctl is-system-running 2>/dev/null | grep -E 'running|degraded'; }
there() { nsenter -t "$leader" -a env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive env -C /root/walferry "$@"; }
postgres_there() { there runuser -u postgres -- "$@"; }
there_sql() { postgres_there psql -XqAt -c "$1"; }

step "a clean Debian 12"
mkdir machines
sources=("deb $(mirror bookworm) bookworm main")
[ -z "$(mirror bookworm-security)" ] || sources+=("deb $(mirror bookworm-security) bookworm-security main")
quietly timeout 600 mmdebstrap --quiet --variant=minbase bookworm "$T/machines/build" "${sources[@]}"
echo force-unsafe-io >machines/build/etc/dpkg/dpkg.cfg.d/throw-away
cp -a machines/build machines/db
cp -a machines/build machines/image

step "one to build on: docs/install.md, the package"
mkdir machines/build/root/walferry
tar -C "$SOURCE" -c --exclude=./build --exclude=./.git . | tar -C machines/build/root/walferry -x
blocks_of docs/install.md
block "Debian package" >machines/build/root/commands
quietly inside build --chdir=/root/walferry bash -eu /root/commands
deb=$(echo machines/build/root/walferry/build/deb/walferry_*.deb)
expect_status 0 inside build /usr/bin/wal-push --version

step "and from source"
quietly inside build apt-get -q -y purge walferry
block "From source" >machines/build/root/commands
quietly inside build --chdir=/root/walferry bash -eu /root/commands
expect_status 0 inside build --chdir=/root/walferry make -s uninstall
expect_equal "left in /usr/local" "$(find machines/db/usr/local ! -type d -printf '%P\n')" "$(find machines/build/usr/local ! -type d -printf '%P\n')"

step "what the Dockerfile runs on its way to the image, but in a machine"
cp "$deb" machines/image/tmp
sed -e ':next; /\\$/{ N; s/\\\n *//; b next }' -e '1,/^FROM \${BASE}/d' "$SOURCE/packaging/docker/Dockerfile" | sed -n 's/^RUN //p' >commands
expect_true "two commands" test "$(wc -l <commands)" = 2
while read -r command; do quietly inside image sh -c "$command" </dev/null; done <commands
numbers=$(sed -n 's/^USER \([0-9]*:[0-9]*\)$/\1/p' "$SOURCE/packaging/docker/Dockerfile")
expect_status 2 inside image setpriv --reuid="${numbers%:*}" --regid="${numbers#*:}" --clear-groups basebackup-list
expect_output 'configuration file "/etc/walferry.conf".*cluster' # it could read it
rm -r machines/image

step "one that is a server: Debian's PostgreSQL, nothing of ours; the package comes from elsewhere"
mkdir -p machines/db/root/walferry/build/deb machines/db/etc/postgresql-common
cp "$deb" machines/db/root/walferry/build/deb
echo "listen_addresses = ''" >machines/db/etc/postgresql-common/createcluster.conf # the network is this machine's
quietly inside db sh -c 'apt-get -q update && apt-get -q -y install systemd-sysv dbus postgresql' 
expect_absent machines/db/usr/bin/lz4 machines/db/usr/bin/gcc
boot db
wait_until 60 "PostgreSQL" there_sql "select 1"

heading="Set-up of a real server, in five minutes"
step "README: $heading"
blocks_of README.md
block "$heading" | sed '/^tests\/install/d' >machines/db/root/commands # which was done where there is a compiler
expect_true "the package and a directory" test "$(wc -l <machines/db/root/commands)" = 2
expect_status 0 there bash -eux /root/commands
expect_equal "the configuration file" "root postgres 640" "$(there stat -c '%U %G %a' /etc/walferry.conf)"
expect_equal "the folder of keys, that of what is remembered" "postgres 700 postgres 700" "$(there stat -c '%U %a' /etc/walferry /var/lib/walferry | xargs)"
expect_equal "timers that run" "" "$(there systemctl --no-legend list-timers 'walferry-*')"
step "README: the configuration; no store is to be had there, and a drill is wanted"
{ sed '/^\[repository offsite\]/,$d' page/ini.1; sed -n '/^#\[drill\]/,$s/^#//p' "$SOURCE/walferry.conf.sample"; } >walferry.conf
expect_true "a cluster, a repository" test "$(grep -c '^\[' walferry.conf)" = 3
cat walferry.conf >machines/db/etc/walferry.conf
postgres_does() { # HEADING N
    block "$1" "$2" >machines/db/root/walferry/commands
    chmod 755 machines/db/root
    expect_status 0 postgres_there bash -eux /root/walferry/commands
}
postgres_does "$heading" 2
expect_output "repository"
cat page/ini.2 >>machines/db/etc/postgresql/15/main/postgresql.conf
there systemctl restart postgresql
wait_until 60 "PostgreSQL" there_sql "select 1"
there_sql "create table t as select generate_series(1, 1000) i"

postgres_does "$heading" 3

step "docs/install.md: timers"
blocks_of docs/install.md
block "Timers of systemd" >machines/db/root/commands
expect_status 0 there bash -eux /root/commands
expect_output "walferry-backup\.timer"
expect_output "NEXT.*LEFT"
expect_equal "timers" 4 "$(there systemctl --no-legend list-timers 'walferry-*' | wc -l)"
expect_status 0 postgres_there basebackup-list --json
expect_equal "backups" 2 "$(grep -c '"id": *"' <<<"$output")"
expect_equal "segments that were not archived" 0 "$(there_sql "select failed_count from pg_stat_archiver")"
there_sql "insert into t values (0)"
there_sql "select pg_switch_wal()" >switched
for service in walferry-expire walferry-verify walferry-dump walferry-drill; do
    expect_status 0 there systemctl start "$service.service"
    expect_status 0 there journalctl --no-pager -u "$service.service"
done
expect_output "[0-9]" # the drill's
expect_true "the drill's report" test -n "$(find machines/db/var/backups/walferry -path '*/reports/*drill*')"
expect_equal "what the drill left" "" "$(find machines/db/var/lib/postgresql/drill -mindepth 1)"
expect_true "a dump" test -n "$(find machines/db/var/backups/walferry -path "*/dumps/*")"
there install -d -g postgres -m 775 /var/lib/prometheus/node-exporter # as docs/monitoring.md says
expect_status 0 there systemctl start walferry-status.service
expect_status 0 there runuser -u nobody -- grep -c '^walferry_' /var/lib/prometheus/node-exporter/walferry.prom
there cp -p /etc/walferry.conf /etc/walferry/main.conf
expect_status 0 there systemctl start walferry-verify@main.service
expect_status 0 there systemctl show --property=Environment walferry-verify@main.service
expect_output "WALFERRY_CONFIG=/etc/walferry/main.conf"

step "what a service may not"
tries() { # COMMAND: a service runs it in place of its own
    mkdir -p machines/db/etc/systemd/system/walferry-expire.service.d
    printf '[Service]\nExecStart=\nExecStart=%s\n' "$1" >machines/db/etc/systemd/system/walferry-expire.service.d/override.conf
    there systemctl daemon-reload
    there systemctl start walferry-expire.service
}
expect_status 0 tries "/bin/touch /var/backups/walferry/there /var/lib/walferry/there /tmp/there"
for path in /var/lib/postgresql/15/main/there /etc/walferry/there; do
    expect_status 1 tries "/bin/touch $path"
    expect_absent "machines/db$path"
done
expect_absent machines/db/tmp/there # it has a /tmp of its own
expect_status 1 tries "/usr/bin/unshare --user true"
rm -r machines/db/etc/systemd/system/walferry-expire.service.d machines/db/var/backups/walferry/there
there systemctl daemon-reload
there systemctl reset-failed

step "the package again, as in an upgrade: what the administrator has made of the file stays"
there chown postgres:postgres /etc/walferry.conf
there chmod 600 /etc/walferry.conf
quietly there bash -c 'apt-get -q -y install --reinstall ./build/deb/walferry_*.deb'
expect_equal "the file" "postgres postgres 600" "$(there stat -c '%U %G %a' /etc/walferry.conf)"
expect_same "the file" walferry.conf machines/db/etc/walferry.conf
expect_equal "timers" 4 "$(there systemctl --no-legend list-timers 'walferry-*' | wc -l)"
expect_equal "services that failed" "" "$(there systemctl list-units --no-legend --failed 'walferry-*')"

step "removed: the timers end; purged: keys and repositories stay"
quietly there apt-get -q -y remove walferry
expect_equal "timers" "" "$(there systemctl --no-legend list-timers 'walferry-*')"
expect_same "the file" walferry.conf machines/db/etc/walferry.conf
quietly there apt-get -q -y purge walferry
expect_absent machines/db/etc/walferry.conf machines/db/var/lib/walferry machines/db/usr/share/doc/walferry
expect_equal "links to units" "" "$(find machines/db/etc/systemd -name 'walferry-*')"
expect_true "the repository" test -n "$(find machines/db/var/backups/walferry -name manifest.json)"
expect_true "what was in the folder of keys" test -e machines/db/etc/walferry/main.conf
kill -TERM "$nspawn"
wait "$nspawn" || true
rm -rf machines
