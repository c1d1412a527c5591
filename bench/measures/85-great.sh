# goal: what judges a repository is done in 20 s and 256 MiB, also with a million WAL objects and 400 backups
# stores: file s3
# A line for each program: its name and its arguments. More that only look can be added.
programs=("basebackup-list" "basebackup-verify" "recovery-window" "recovery-window --json" "basebackup-expire --dry-run")
all() {
    local number program numbers=(10000 100000)
    [ "$store" = s3 ] || numbers+=(1000000)
    [ "$ROUNDS" -gt 3 ] || numbers=(1000 10000) # --quick
    for number in "${numbers[@]}"; do
        great_set_up "$number"
        for program in "${programs[@]}"; do
            rm -f great.result
            # shellcheck disable=SC2086
            measure "$T/great.result" $program >great.log 2>&1 || { tail -5 great.log && fail "$program"; }
            echo "great $measure $number ${program// --/-} $(cat great.result)" >>"$RESULTS"
            [ "$program" != "recovery-window --json" ] || expect_true "the window is whole" grep -q "times_are_known\": true" great.log
        done
        [ "$store" = s3 ] || rm -rf "$T/great"
    done
}
great_set_up() { # NUMBER of segments
    CONFIG=$T/great.conf STORE=$store S3_PREFIX=${S3_PREFIX:-}/great-$1 config_write $'keep_wal = 7 days\nkeep_monthly = 12'
    sed -i "s|^url = file:.*|url = file://$T/great|; /^pgdata/d" "$T/great.conf"
    mkdir -p "$T/great"
    export WALFERRY_CONFIG=$T/great.conf
    synthesize "$1" 400
}
