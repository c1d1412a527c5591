# backlog.sh: many segments of real WAL, and how each contender archives them and recovers from them; sourced by session.sh.
# What is needed once is made once. $delayed: nothing, or the way to the store is the one with latency.

waiting=$SEGMENTS delayed=''

# A server writes them, from a base copy on, which recoveries begin with. Then both lie still: $T/base and $T/backlog, a data
# directory as far as an archive_command looks at one.
# Orders come and are changed, text as people write it, beside pgbench's accounts; a checkpoint every now and then.
backlog_load() {
    sql origin "create table orders (id bigserial primary key, customer int, at timestamptz default now(), amount numeric(12,2), note text)" \
        "insert into orders (customer, amount, note) select hashint4(i) % 100000, (hashint4(i + 1) % 1000000) / 100.0, note
            from generate_series(1, 60000) i, lateral (select string_agg((array['paid','open','sent','back','with','from','card','cash','late',
                'next','week','gift','blue','green','large','small'])[1 + (hashint4(i * 31 + k) & 15)], ' ') || ' ' || left(md5(i::text), 20) note
                from generate_series(1, 20) k) notes" \
        "create index on orders (customer)"
    pgbench -i -q -s 8 -h "$T/run/origin" >>pgbench.log 2>&1
    sql origin "vacuum analyze"
}
backlog_write() { # FIRST: until there are enough segments from that one on
    cat >arrivals.sql <<'SQL'
\set id random(1, 59000)
\set n random(1, 1000000)
begin;
insert into orders (customer, amount, note) select customer + 1, amount + :n / 100.0, note from orders where id between :id and :id + 200;
update orders set amount = amount + 1, at = now() where id in (:id, (:id * 7919) % 60000, (:id * 31337) % 60000);
end;
SQL
    while [ "$(sql origin "select count(*) from pg_ls_waldir() where name between '$1' and pg_walfile_name(pg_current_wal_insert_lsn())")" -le "$SEGMENTS" ]; do
        pgbench -n -h "$T/run/origin" -f arrivals.sql@2 -b tpcb-like@3 -c 4 -j 1 -t 1500 >>pgbench.log 2>&1
    done
}
need_backlog() {
    local name count=0 stored path
    [ ! -d backlog ] || return 0
    say "$SEGMENTS segments of WAL"
    server_create origin --data-checksums
    cat >>origin/postgresql.conf <<'CONF'
archive_mode = off
shared_buffers = 256MB
max_wal_size = 1GB
min_wal_size = 80MB
wal_keep_size = 100GB
CONF
    server_start origin
    backlog_load
    server_stop origin
    cp -a origin base
    rm -f base/pg_wal/0*
    name=$(pg_controldata base | sed -n "s/^Latest checkpoint's REDO WAL file: *//p")
    server_start origin
    backlog_write "$name"
    server_stop origin
    mkdir -p -m 700 backlog backlog/global backlog/pg_wal backlog/pg_wal/archive_status
    cp base/PG_VERSION backlog
    cp base/global/pg_control backlog/global
    for path in origin/pg_wal/0*; do
        [[ ${path##*/} < $name ]] || [ "$count" = "$SEGMENTS" ] || { mv "$path" backlog/pg_wal && count=$((count + 1)); }
    done
    rm -rf origin
    mapfile -t segments < <(cd backlog/pg_wal && ls -d 0*)
    expect_equal "segments" "$SEGMENTS" ${#segments[@]}
    system=$(system_identifier base)
    stored=$(for name in "${segments[@]:0:64}"; do lz4 -1 -c "backlog/pg_wal/$name" 2>/dev/null; done | wc -c)
    count=$((SEGMENTS < 64 ? SEGMENTS : 64))
    fact backlog "$SEGMENTS segments of 16 MiB, lz4 -1 makes $((stored * 100 / (count << 24))) % of the first $count; $WORKERS workers"
}

# The configurations, again for the other way to the store.
backlog_set_up() { # sets $label, and the commands $walferry and $pgbackrest
    local endpoint=${S3_ENDPOINT:-}
    label=backlog${delayed:+.delayed}.$store
    walferry=(--config "$T/$label.walferry.conf")
    pgbackrest=(pgbackrest --config="$T/$label.pgbackrest.conf" --stanza=backlog)
    [ -z "$delayed" ] || endpoint=https://localhost:$delayed
    [ ! -e "$T/$label.walferry.conf" ] || return 0
    mkdir -p "$T/backlog.log.d"
    (S3_ENDPOINT=$endpoint STORE=$store CONFIG=$T/$label.walferry.conf CONFIG_NAME=backlog S3_PREFIX=backlog-walferry config_write \
        "$([ "$WORKERS" = 4 ] || printf '[%s]\nparallel = %s\n' wal-push "$WORKERS" wal-fetch "$WORKERS")")
    sed -i "s|^pgdata = .*|pgdata = $T/backlog|; s|^state_dir = .*|state_dir = $T/backlog.state|; /^conninfo/d
        s|^url = file:.*|url = file://$T/backlog-walferry|" "$T/$label.walferry.conf"
    (
        umask 077
        S3_ENDPOINT=$endpoint pgbackrest_configuration | sed "s|^process-max=.*|process-max=$WORKERS|; s|^archive-async=.*|archive-async=y|
            s|=/pgbackrest\$|=/backlog-pgbackrest|; s|=$T/pgbackrest\$|=$T/backlog-pgbackrest|; s|^\[main\]|[backlog]|
            s|^pg1-path=.*|pg1-path=$T/backlog|; /^pg1-[su]/d; s|^log-path=.*|log-path=$T/backlog.log.d|
            s|^lock-path=.*|lock-path=$T/backlog.lock|; s|^spool-path=.*|&\narchive-get-queue-max=256MiB|" >"$T/$label.pgbackrest.conf"
        printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "${S3_ACCESS_KEY:-}" "${S3_SECRET_KEY:-}" >"$T/barman.credentials"
    )
}
# An empty repository, and nothing remembered of an earlier one.
backlog_empty() { # WHO
    rm -f "$T/archived.$store.$1"
    if [ "$store" = s3 ]; then s3 purge "backlog-$1/"
    else
        rm -rf "$T/backlog-$1"
        mkdir -p "$T/backlog-$1"
    fi
    case $1 in
    walferry)
        rm -rf "$T/backlog.state"
        repository-init "${walferry[@]}"
        ;;
    pgbackrest)
        rm -rf "$T/pgbackrest.spool" "$T/backlog.lock"
        "${pgbackrest[@]}" --no-online stanza-create
        ;;
    esac
}
backlog_wait() { # [NUMBER]: so many wait to be archived
    local name
    rm -f backlog/pg_wal/archive_status/*
    for name in "${segments[@]:0:${1:-$waiting}}"; do : >"backlog/pg_wal/archive_status/$name.ready"; done
}
archive_command() { # WHO
    case $1 in
    walferry) echo "wal-push ${walferry[*]} %p" ;;
    pgbackrest) echo "${pgbackrest[*]} archive-push %p" ;;
    barman) echo "barman-cloud-wal-archive --endpoint-url https://localhost:${delayed:-${S3_ENDPOINT##*:}} s3://$S3_BUCKET/backlog-barman backlog %p" ;;
    esac
}
# Of barman-cloud, which takes a second for each, a sample; the result is multiplied.
backlog_call() { # WHO
    place=$T
    case $1 in
    floor) command=(floor segments "$WORKERS" "$T/floor.segments" backlog-floor) ;;
    barman) command=(env AWS_SHARED_CREDENTIALS_FILE="$T/barman.credentials" AWS_CA_BUNDLE="$S3_CA" AWS_EC2_METADATA_DISABLED=true
        archiver "$T/backlog" $((waiting / 16 > 0 ? waiting / 16 : 1)) "$(archive_command barman)")
        factor=16 ;;
    *) command=(archiver "$T/backlog" "$waiting" "$(archive_command "$1")") ;;
    esac
}
backlog_prepare() { # WHO
    local name
    backlog_empty "$1"
    backlog_wait
    rm -rf "$T/floor.segments"
    mkdir "$T/floor.segments"
    for name in "${segments[@]:0:waiting}"; do ln -s "$T/backlog/pg_wal/$name" "$T/floor.segments"; done
}
backlog_check() { # WHO
    local expected=$waiting
    [ "$1" != barman ] || expected=$((waiting / 16 > 0 ? waiting / 16 : 1))
    expect_equal "segments of $1" "$expected" \
        "$(if [ "$store" = s3 ]; then s3 list "backlog-$1/" | cut -d' ' -f1; else find "$T/backlog-$1" -type f -printf '%f\n'; fi |
            grep -cE '(^|/)[0-9A-F]{24}(-[0-9a-f]{40}\.lz4)?$')"
}

# ---- recovery

# All that is to be recovered is in the repository of WHO: from an earlier measure, or it is brought there now.
need_archived() { # WHO
    [ "$1" != local ] && [ ! -e "$T/archived.$store.$1" ] || return 0
    local waiting=$SEGMENTS delayed='' place command factor
    backlog_set_up
    backlog_prepare "$1"
    backlog_call "$1"
    there measure "$T/unused" "${command[@]}" # it waits for what goes on in the background
    backlog_check "$1"
    : >"$T/archived.$store.$1"
}
recovery_prepare() { # WHO
    local last=${segments[waiting - 1]} command
    rm -rf lost calls "$T/pgbackrest.spool" "$T/backlog.lock"
    mkdir -p run/lost
    cp -a base lost
    : >lost/recovery.signal
    case $1 in
    walferry) command="wal-fetch ${walferry[*]} %f %p" ;;
    pgbackrest) command="${pgbackrest[*]} --pg1-path=$T/lost archive-get %f %p" ;;
    local) command="cp $T/backlog/pg_wal/%f %p" ;;
    esac
    cat >>lost/postgresql.conf <<CONF
restore_command = 'stopwatch $T/calls $command'
recovery_target_lsn = '$((16#${last:8:8}))/${last:22:2}E00000'
recovery_target_action = shutdown
log_line_prefix = '%n '
CONF
    sed -i "s|^\(recovery_target_lsn = '\)[0-9]*|\1$(printf %X $((16#${last:8:8})))|" lost/postgresql.conf
}
recovery_call() { # WHO
    place=$T
    measure_options=(--without postgres)
    command=(postgres -D "$T/lost" -k "$T/run/lost" -c listen_addresses= -c logging_collector=off)
}
# What counts goes from the first call of restore_command to the end of replay. The server's children are the clients: their
# time was measured by themselves. The rest of the result is what they have left behind in the background.
recovery_correct() { # WHO ROUND: makes $T/result anew
    local end
    end=$(sed -n 's/^\([0-9.]*\) LOG:  recovery stopping .*/\1/p' "$T/session.part")
    [ -n "$end" ] || { tail -20 "$T/session.part" && fail "recovery did not get to its target"; }
    awk -v end="${end/./}000" -v measure="$measure" -v who="$1" -v round="$2" -v results="$RESULTS" '
        FILENAME ~ /calls$/ { if (!begun) begun = $1; waited += $2 - $1; user += $3; system_ += $4; if ($5 > peak) peak = $5; calls++; next }
        { print end - begun, $2 + user, $3 + system_, ($4 > peak ? $4 : peak) }
        END { if (round) print "waited", measure, who, round, waited / (end - begun), calls >>results }' "$T/calls" "$T/result" >"$T/result.new"
    mv "$T/result.new" "$T/result"
}
recovery_check() { ! grep -E "FATAL|PANIC" "$T/session.part"; }

# ---- latency

delay_start() {
    [ -z "$delay_port" ] || return 0
    local port=${S3_ENDPOINT##*:}
    delay_port=$((port + 40))
    delay "$delay_port" "$port" 30 >>delay.log 2>&1 &
}
delay_port=''
