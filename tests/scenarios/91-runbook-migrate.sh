#!/bin/bash
# goal: docs/runbooks/migrate.md, as it stands there, from Debian's pgBackRest or barman-cloud (by the seed; both with --full): an instant before the change is recovered by the old tool, those after it by walferry, and every row has been in reach of one of them
# stores: s3
# round: 3/5
# limit: 300
. "$(dirname "$0")/../lib.sh"
. "$here/pages.sh"
command -v pgbackrest barman-cloud-wal-archive >/dev/null || skip "pgbackrest or barman-cli-cloud is not installed"

data=/var/lib/postgresql/$major/main
rows() { sql db "select string_agg(i::text, ',' order by i) from t"; }
instant() { sleep 1.1; sql db "select clock_timestamp()"; sleep 0.1; } # both tools know the second in which a backup ended, and no better
old_server() { # ARCHIVE-COMMAND: archived by the old tool
    host db
    host_config db $'[repository local]\nurl = file:///var/backups/walferry\n[drill]\nscratch = /var/lib/postgresql/drill'
    host_cluster db
    sql db "alter system set archive_command = '$1'" "select pg_reload_conf()" >reloaded
    on db repository-init
    sql db "create table t (i int)"
}
recovered() { # ROWS: what stands restored in $data, with its recovery settings, starts
    host_start db
    wait_until 60 "the end of the recovery" is_open db
    expect_equal "rows" "$1" "$(rows)"
    host_stop db
    rm -rf "hosts/db$data" "hosts/db$data.external"
}
by_walferry() { # TIME
    on db basebackup-fetch --target-time "$1" -D "$data"
    on db recovery-config --target-time "$1" --action promote -D "$data"
}
page docs/runbooks/migrate.md

from_pgbackrest() {
    step "pgBackRest"
    old_server "pgbackrest --stanza=main archive-push %p"
    mkdir -p hosts/db/var/{lib,log,spool}/pgbackrest
    printf '[global]\nrepo1-path=/var/lib/pgbackrest\nrepo1-retention-full=2\nstart-fast=y\nlock-path=/tmp/pgbackrest\n[main]\npg1-path=%s\npg1-socket-path=/run/postgresql\n' \
        "$data" >hosts/db/etc/pgbackrest.conf
    on db pgbackrest --stanza=main stanza-create
    on db pgbackrest --stanza=main backup 2>&1 | tail -n 3
    sql db "insert into t values (1)"
    before=$(instant)
    sql db "insert into t values (2)"
    archived db
    follow db "Prepare"
    expect_output "pgbackrest"
    follow db "Both archive#1"
    sql db "insert into t values (3)"
    archived db
    follow db "The first backup"
    expect_output "RTO"
    between=$(instant)
    sql db "insert into t values (4)"
    archived db
    follow db "walferry alone"
    sql db "insert into t values (5)"
    after=$(instant)
    sql db "insert into t values (6)"
    follow db "How to know that it worked"
    expect_output "0 errors"
    host_stop db
    rm -rf "hosts/db$data"
    on db pgbackrest --stanza=main --type=time --target="$before" --target-action=promote restore
    echo "archive_mode = off" >>"hosts/db$data/postgresql.auto.conf"
    recovered 1
    on db pgbackrest --stanza=main --type=time --target="$between" --target-action=promote restore
    echo "archive_mode = off" >>"hosts/db$data/postgresql.auto.conf"
    recovered 1,2,3
    by_walferry "$between"
    recovered 1,2,3
    by_walferry "$after"
    recovered 1,2,3,4,5
    rm -rf hosts/db run/db
}
from_barman() {
    step "barman-cloud"
    bucket=barman-$RANDOM
    s3 make-bucket "$bucket"
    options="--endpoint-url $S3_ENDPOINT"
    old_server "barman-cloud-wal-archive $options s3://$bucket/barman main %p"
    secret_place 'hosts/db/var/lib/postgresql/.aws/*'
    mkdir -m 700 hosts/db/var/lib/postgresql/.aws
    printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$S3_ACCESS_KEY" "$S3_SECRET_KEY" >hosts/db/var/lib/postgresql/.aws/credentials
    printf '[default]\nregion = %s\nca_bundle = %s\n' "$S3_REGION" "$S3_CA" >hosts/db/var/lib/postgresql/.aws/config
    chmod 600 hosts/db/var/lib/postgresql/.aws/*
    # shellcheck disable=SC2086
    barman() { local program=$1; shift; on db "barman-cloud-$program" $options "$@"; } # PROGRAM ARGUMENT...
    barman backup --immediate-checkpoint -h /run/postgresql -U postgres "s3://$bucket/barman" main
    sql db "insert into t values (1)"
    before=$(instant)
    sql db "insert into t values (2)"
    archived db
    page_says "s3://my-bucket/barman" "$options s3://$bucket/barman"
    follow db "Both archive#2"
    sql db "insert into t values (3)"
    archived db
    follow db "The first backup"
    follow db "walferry alone"
    sql db "insert into t values (4)"
    after=$(instant)
    sql db "insert into t values (5)"
    archived db
    host_stop db
    rm -rf "hosts/db$data"
    id=$(barman backup-list --format json "s3://$bucket/barman" main | python3 -c 'import json, sys; print(json.load(sys.stdin)["backups_list"][0]["backup_id"])')
    barman restore "s3://$bucket/barman" main "$id" "$data"
    printf "restore_command = 'barman-cloud-wal-restore %s s3://%s/barman main %%f %%p'\nrecovery_target_time = '%s'\nrecovery_target_action = promote\narchive_mode = off\n" \
        "$options" "$bucket" "$before" >>"hosts/db$data/postgresql.auto.conf"
    touch "hosts/db$data/recovery.signal"
    recovered 1
    by_walferry "$after"
    recovered 1,2,3,4
}

[ -n "$FULL" ] || one=$((SEED / 5 % 2))
if [ "${one:-0}" = 0 ]; then from_pgbackrest; else for heading in "Prepare" "Both archive#1" "How to know that it worked"; do leave "$heading" "pgBackRest has its turn with another seed"; done; fi
if [ "${one:-1}" = 1 ]; then from_barman; else leave "Both archive#2" "barman-cloud has its turn with another seed"; fi
page_end
