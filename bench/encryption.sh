# encryption.sh: walferry with an encrypted repository beside itself with a plain one, in turns, and nobody else; sourced by
# session.sh. Both have the same cluster and store, and all else of their own.

encryption_set_up() { # CLUSTER
    local who config directory
    cluster=$1
    need_cluster "$cluster"
    system=${systems[$cluster]}
    for who in plain encrypted; do
        as "$who"
        config=${walferry[1]} directory=$T/repository.$who
        [ ! -e "$config" ] || continue
        say "walferry, $who, for the cluster \"$cluster\" and the store $store"
        (
            [ "$who" = plain ] || ENCRYPTED=1
            STORE=$store CONFIG=$config CONFIG_NAME=$cluster S3_PREFIX=$repository config_write
            sed -i "s|^pgdata = .*|pgdata = $T/$cluster|; s|^conninfo = [^ ]*|conninfo = host=$T/run/$cluster|
                s|^state_dir = .*|state_dir = $T/state.$who.$cluster.$store|; s|^url = file:.*|url = file://$directory|" "$config"
        )
        mkdir -p "$directory"
        repository-init "${walferry[@]}"
    done
    expect_true "the one is encrypted" grep -q "^encryption_key_file" "$T/encrypted.$cluster.$store.conf"
    expect_equal "so is the other" "" "$(grep "^encryption_key_file" "$T/plain.$cluster.$store.conf" || true)"
}
as() { # plain|encrypted: what the other functions know as walferry
    walferry=(--config "$T/$1.$cluster.$store.conf")
    repository=$(repository_root "repository.$1" "$1")
}
# A segment that nothing compresses: rows of hashes. Sets $segment; the former is $was.
encryption_incompressible() {
    local current="pg_walfile_name(pg_current_wal_insert_lsn())" before
    was=$segment
    if [ -z "${incompressible:-}" ]; then
        sql main "create table scans (scan bytea)" "alter table scans alter scan set storage external"
        before=$(sql main "select $current")
        sql main "insert into scans select (select string_agg(sha512((n * 1000 + k)::text::bytea), '') from generate_series(1, 320) k)
            from generate_series(1, 4000) n" "select pg_switch_wal()" >/dev/null
        incompressible=$(sql main "select name from pg_ls_waldir() where name > '$before' order by name offset 1 limit 1")
        fact incompressible "$incompressible, lz4 -1 makes $(($(lz4 -1 -c "main/pg_wal/$incompressible" 2>/dev/null | wc -c) * 100 / 16777216)) % of it"
    fi
    segment=$incompressible
}

encryption_push() { # [random]
    kind=${1:-} contenders=(encrypted plain) rounds=$ROUNDS
    begin() {
        encryption_set_up main
        [ -z "$kind" ] || encryption_incompressible
    }
    prepare() {
        as "$1"
        segment_forget walferry
    }
    call() { push_call walferry; }
    check() { [ -n "$(segment_keys walferry)" ]; }
    end() { [ -z "$kind" ] || segment=$was; }
}
encryption_fetch() { # [random]
    kind=${1:-} contenders=(encrypted plain) rounds=$ROUNDS
    begin() {
        local who command place
        encryption_set_up main
        [ -z "$kind" ] || encryption_incompressible
        lost_make
        for who in "${contenders[@]}"; do
            as "$who"
            segment_forget walferry
            push_call walferry
            there "${command[@]}"
        done
    }
    prepare() {
        as "$1"
        rm -f lost/pg_wal/RECOVERYXLOG
    }
    call() { fetch_call walferry; }
    check() { cmp "main/pg_wal/$segment" lost/pg_wal/RECOVERYXLOG; }
    end() { [ -z "$kind" ] || segment=$was; }
}
encryption_backup() {
    contenders=(encrypted plain) rounds=$BACKUP_ROUNDS first_round=1
    begin() {
        encryption_set_up data
        server_cpu=server_cpu_of_cluster
        fact "bytes.$measure" "$(cluster_bytes "$cluster" | cut -d' ' -f1)"
    }
    prepare() {
        as "$1"
        backup_forget walferry
        archive_with walferry
    }
    call() { backup_call walferry; }
    check() { :; } # they wait for their WAL and say themselves whether all is there
    end() { encryption_forget; }
}
encryption_restore() {
    contenders=(encrypted plain) rounds=$BACKUP_ROUNDS first_round=1
    begin() {
        local who
        encryption_set_up data
        fact "bytes.$measure" "$(cluster_bytes "$cluster" | cut -d' ' -f1)"
        for who in "${contenders[@]}"; do
            as "$who"
            need_backup walferry
        done
    }
    prepare() {
        as "$1"
        directory_prepare walferry restored
    }
    call() { restore_call walferry; }
    check() { restore_check walferry; }
    end() {
        discard restored
        encryption_forget
    }
}
encryption_forget() {
    local who
    for who in "${contenders[@]}"; do
        as "$who"
        backup_forget walferry
    done
}
