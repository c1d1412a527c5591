# goal: backups and restores under bench/profiler.so: where CPU time goes, and what cannot go on in parallel
# stores: file s3
profiled() { # TITLE COMMAND...
    local title=$1 bytes files
    read -r bytes files < <(cluster_bytes "$cluster")
    sync
    there env LD_PRELOAD="$PROGRAMS/profiler.so" PROFILE_PROGRAM=basebackup PROFILE_OUT="$T/profile" "${@:2}"
    "$SOURCE/bench/stages" profile "$title" "$files" "$bytes" >>"$RESULTS.profile"
}
all() {
    local one where="a directory" command place
    [ "$store" = file ] || where=S3
    for one in data tables; do
        set_up "$one"
        backup_forget walferry
        archive_with walferry
        backup_call walferry
        profiled "backup of \"$one\" to $where" "${command[@]}"
        discard restored
        restore_call walferry
        profiled "restore of \"$one\" from $where" "${command[@]}"
        discard restored
        backup_forget walferry
    done
}
