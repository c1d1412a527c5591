# drill.sh: what the scenarios of restore-drill share; sourced behind lib.sh.
# shellcheck shell=bash disable=SC2154 # PG_BIN and the like are lib.sh's

drill_section() { # [LINES]: the configuration, with these lines in [drill]
    config_write "[drill]
scratch = $T/scratch
pg_bin = $PG_BIN
${1:-}"
}
nothing_left() { # of a drill, but the logs of those that failed; $output is what it said with --verbose
    local process
    expect_equal "left in the scratch directory" "" "$(find "$T/scratch" -mindepth 1 ! -name 'restore-drill-*Z.log')"
    process=$(sed -n 's/.*the server is process \([0-9]*\)$/\1/p' <<<"$output")
    [ -z "$process" ] || expect_equal "its shared memory" "" "$(ipcs -m -p | awk -v pid="$process" '$3 == pid')"
    wait_until 10 "the end of what reads ahead" no_helper
    expect_equal "processes in the scratch directory" "" "$(readlink /proc/[0-9]*/cwd | grep -F "$T/scratch" || true)"
}
no_helper() { ! grep -lsaF "$T" /proc/[0-9]*/cmdline | sed 's|/cmdline|/comm|' | xargs -r grep -lsx wal-fetch; }
drill() { # STATUS OPTION...
    expect_status "$1" restore-drill --verbose "${@:2}"
    nothing_left
}
fails() { # STEP PATTERN OPTION...
    drill 1 "${@:3}"
    expect_output "error: step $1 failed: "
    expect_output "$2"
}
field() { python3 -c 'import json, sys; d = json.loads(sys.argv[1]); print(eval(sys.argv[2], {}, {"d": d}))' "$1" "$2"; } # JSON EXPRESSION
reports() { object_list | grep -c "/reports/.*-drill-$1" || true; }
