# cases.sh: a call of each program, for scenarios in which something is too little or goes wrong; sourced behind lib.sh and faults.sh.
# The scenario has a server in the data directory $main with a tablespace at $place, its backup $id, and its archived $segment. The
# repository's objects lie under $keys, those of a new repository under $new.

# What each case sets: its command and the status of a failure. NAME_reset, NAME_whole, NAME_check (nothing is half visible).
objects() { find "$keys" -type f -printf '%P\n' | LC_ALL=C sort; }
push_reset() { rm -f "$keys/$(wal_key "$segment")"; }
push_whole() { lz4 -dcq "$keys/$(wal_key "$segment")" 2>/dev/null | cmp -s - by.hand; }
push_check() { ! stored || push_whole || fail "half an object"; }
fetch_reset() { rm -f copy/pg_wal/RECOVERY*; }
fetch_whole() { cmp -s copy/pg_wal/RECOVERYXLOG by.hand; }
fetch_check() { [ -z "$(find copy/pg_wal -type f)" ] || fetch_whole || fail "something that is not the segment has its name"; }
init_reset() { rm -rf "$new"; }
init_whole() { grep -q '"sha256":"[0-9a-f]\{64\}"}' "$new/main/cluster.json"; }
init_check() { [ ! -e "$new/main/cluster.json" ] || init_whole || fail "half a cluster.json"; }
check_reset() { probes | xargs -r rm -f && objects >before; }
check_whole() { # a probe that it could not remove stays, and is named
    local probe
    for probe in $(probes); do
        grep "eft behind" <<<"$output" | grep -q "${probe##*/}" || return 1
        rm -f "$probe"
    done
    objects >now && cmp -s before now
}
check_check() {
    probes | xargs -r rm -f
    objects >now && cmp -s before now || fail "left behind: $(diff before now)"
}
probes() { find "$keys" -regextype posix-extended -regex '.*/main/probe-[0-9a-f]{16}' -type f; }
list_reset() { :; }
list_whole() { grep -q "$id" <<<"$output"; }
list_check() { :; }
window_reset() { :; }
window_whole() { grep -q "the end of backup $id" <<<"$output" && grep -q "if the server were lost now" <<<"$output"; }
window_check() { :; }
backup_reset() { find "$keys/main/$system/base" -mindepth 1 -maxdepth 1 ! -name "$id" -exec rm -rf {} +; }
backup_whole() { [ "$(find "$keys/main/$system/base" -name manifest.json | wc -l)" = 2 ]; }
backup_check() {
    local listed=1
    if backup_whole; then
        listed=2
        rm -rf restored moved
        basebackup-fetch --quiet -D "$T/restored" -T "${place//=/\\=}=$T/moved" && pg_verifybackup -n -q restored || fail "a backup that is listed is not whole"
        rm -rf restored moved
    fi
    expect_equal "backups in the list" $listed "$(basebackup-list --json | grep -c '"id":')"
}
restore_reset() { rm -rf restored moved; }
restore_whole() { [ -e restored/global/pg_control ] && pg_verifybackup -n -q restored; }
restore_check() { [ ! -e restored/global/pg_control ] || restore_whole || fail "a directory that is not whole has a global/pg_control"; }
config_reset() { rm -f copy/*.signal && cp before.conf copy/postgresql.auto.conf; }
config_whole() { [ -e copy/recovery.signal ] && grep -q ^restore_command copy/postgresql.auto.conf; }
config_check() { # the settings are whole, and come before the signal file
    config_whole || { [ ! -e copy/recovery.signal ] && { cmp -s copy/postgresql.auto.conf before.conf || grep -q ^recovery_target_timeline copy/postgresql.auto.conf; }; } ||
        fail "half a configuration: $(cat copy/postgresql.auto.conf)"
}
# Of upkeep_prepare: the repository $expired, of small objects, with a policy; and copied, beside the repository itself.
expire_reset() { rm -rf "$expired" && cp -a expired.before "$expired"; }
expire_left() { (cd "$expired" && find . -type f | LC_ALL=C sort); }
expire_whole() { expire_left | cmp -s - expired.after; }
expire_check() { # what stays is there, no manifest without its WAL; and the next run does the rest
    local i
    expire_left >now
    [ -z "$(comm -23 expired.after now)" ] || fail "lost: $(comm -23 expired.after now)"
    for i in 0 1; do
        ! grep -q "${old_ids[i]}/manifest.json" now || [ "$(grep -c "/wal/0000000100000000/.*[${old_segments[i]}]$" now)" = 2 ] || fail "the WAL of ${old_ids[i]} is gone"
    done
    "${command[@]}" >again.log 2>&1 || fail "the next run: $(<again.log)"
    expire_whole || fail "the next run did not do it: $(expire_left | diff expired.after - || true)"
}
verify_reset() { rm -rf "$keys/main/$system/reports" && objects >before; }
verify_whole() { # a report for each backup and folder of WAL
    { [[ $what = write\ * ]] || grep -q " 0 errors, 0 orphans" <<<"$output"; } &&
        [ "$(find "$keys/main/$system/reports" -type f | wc -l)" = "$(grep -oE '/base/.*/manifest.json|/wal/[0-9A-F]{16}/' before | sort -u | wc -l)" ]
}
verify_check() {
    objects | grep -v /reports/ | cmp -s before - || fail "it has changed what it looked at: $(objects | diff before -)"
    [[ $what = *alloc\ * || $what = strdup\ * ]] || ! grep -E "is damaged|is missing" <<<"$output" || fail "it found what is not so"
}
sync_reset() { rm -rf copied && mkdir -p copied/main && cp "$keys/main/cluster.json" copied/main/; }
sync_left() { (cd copied && find . -type f ! -name heartbeat.json ! -name '.*.walferry*' -printf '%P\n' | LC_ALL=C sort); }
sync_whole() { sync_left | cmp -s copied.after -; }
sync_check() { # what has its name is right, and a backup is there when all of it is
    local file
    sync_left | while read -r file; do cmp -s "copied/$file" "$keys/$file" || fail "half of $file"; done
    [ ! -e "copied/main/$system/base/$id/manifest.json" ] || [ "$(sync_left | grep -c "base/$id/")" = "$(grep -c "base/$id/" copied.after)" ] || fail "half a backup"
}
upkeep_prepare() { # URL FOLDER: of the repository whose backups expire, and where its objects lie
    expired=$2
    mapfile -t old_ids < <(python3 "$here/synthetic.py" expired.before <<<$'wal 1 1 9 9\nobject restore-points/000000010000000000000002.0123abcd 9\nbackup 1 2 3 9\nbackup 1 5 6 8\nbackup 1 8 9 7')
    old_segments=(23 56)
    [ "$STORE" = s3 ] || touch -d '9 days ago' expired.before/main/7400000000000000001/wal/.0123456789abcdef.walferry-tmp
    sed "s|^url = .*|url = $1\nkeep_last = 1|" "$CONFIG" >expire.conf
    { cat "$CONFIG" && printf '[repository copied]\nurl = file://%s\n' "$T/copied"; } >sync.conf
    chmod 600 expire.conf sync.conf
    expire_reset
    expect_status 0 basebackup-expire --config "$T/expire.conf"
    expire_left >expired.after
    expect_equal "files that stay" 8 "$(wc -l <expired.after)"
    objects | { grep -vE '/(index|reports|notes)/|heartbeat' || true; } >copied.after
}
choose() { # NAME
    name=$1 failing=1
    case $1 in
    push) command=(wal-push --config "$T/archive.conf" "$T/by.hand.d/pg_wal/$segment") ;;
    fetch) command=(wal-fetch "$segment" "$T/copy/pg_wal/RECOVERYXLOG") failing=200 ;;
    init) command=(repository-init --config "$T/new.conf") ;;
    check) command=(repository-check) ;;
    list) command=(basebackup-list) ;;
    window) command=(recovery-window) ;;
    backup) command=(basebackup-push --checkpoint=fast) ;;
    restore) command=(basebackup-fetch -D "$T/restored" -T "${place//=/\\=}=$T/moved") ;;
    config) command=(recovery-config -D "$T/copy") ;;
    expire) command=(basebackup-expire --config "$T/expire.conf") ;;
    verify) command=(basebackup-verify --full) ;;
    sync) command=(repository-sync --config "$T/sync.conf" --from here --to copied --jobs 1) ;;
    esac
}
cases_prepare() { # [URL]: of the new repository
    step "what the cases need"
    rm -rf copy copy.moved by.hand by.hand.d
    mkdir -p by.hand.d/pg_wal by.hand.d/global
    expect_status 0 wal-fetch "$segment" "$T/by.hand"
    cp by.hand "by.hand.d/pg_wal/$segment"
    cp "$main/global/pg_control" by.hand.d/global/ && cp "$main/PG_VERSION" by.hand.d/
    sed "s|^url = .*|url = ${1:-file://$T/new}|" "$CONFIG" >new.conf && chmod 600 new.conf
    expect_status 0 basebackup-fetch --quiet -D "$T/copy" -T "${place//=/\\=}=$T/copy.moved"
    cp copy/postgresql.auto.conf before.conf
    touch copy/recovery.signal
}
