# goal: the restore of a full backup into an empty directory, on disk at the end
# stores: s3 file
contenders=(walferry pgbackrest floor)
rounds=$BACKUP_ROUNDS
begin() {
    local who
    set_up
    for who in "${contenders[@]}"; do
        archive_with "$who"
        backup_call "$who"
        there "${command[@]}"
    done
}
prepare() { rm -rf restored && { [ "$1" != pgbackrest ] || mkdir -m 700 restored; }; }
call() { restore_call "$1"; }
check() {
    if [ "$1" = floor ]; then [ -s restored/1 ]
    else pg_controldata restored >/dev/null && cmp main/PG_VERSION restored/PG_VERSION; fi
}
