#!/bin/bash
# goal: make install, the units of systemd, the completion of the shell, the Debian package: whole, right, and of one mind with the programs
# stores: none
# as: caller
# limit: 400
. "$(dirname "$0")/../lib.sh"
programs=$(make -s -f - -C "$SOURCE" programs <<<$'include Makefile\nprograms:\n\t@echo $(notdir $(PROGRAMS))')
expect_true "there are programs" test -n "$programs"
quietly() { "$@" >"$T/command.log" 2>&1 || { tail -n 60 "$T/command.log"; fail "failed: $*"; }; } # COMMAND...: its output only if so

step "make install: programs, pages, docs; what speaks of /usr/local/bin speaks of PREFIX/bin"
prefix=$T/usr
quietly make -C "$TREE" install PREFIX="$prefix"
for program in $programs; do
    expect_equal "$program --version" "$program" "$("$prefix/bin/$program" --version | cut -d' ' -f1)"
    expect_true "$program --help" grep -q "^Usage:" <<<"$("$prefix/bin/$program" --help)"
    expect_true "the page of $program" test -s "$prefix/share/man/man1/$program.1"
done
expect_equal "programs" "$(tr ' ' '\n' <<<"$programs" | sort)" "$(find "$prefix/bin" -type f -printf '%f\n' | sort)"
expect_true "walferry.conf(5)" test -s "$prefix/share/man/man5/walferry.conf.5"
expect_same "a page of docs" "$SOURCE/docs/format.md" "$prefix/share/doc/walferry/docs/format.md"
expect_true "the archive_command of the sample" grep -q "^archive_command = '$prefix/bin/wal-push %p'" "$prefix/share/doc/walferry/postgresql.conf.sample"
expect_equal "files that speak of another place" "" "$(grep -rlE "/usr/local/(bin|share)/" "$prefix" --exclude-dir=bin || true)"

step "make install DESTDIR=: nothing elsewhere, and nothing of DESTDIR in the files; make uninstall takes it all away"
mkdir stage
quietly make -C "$TREE" install DESTDIR="$T/stage" PREFIX=/opt/w UNITDIR=/lib/systemd/system
expect_equal "as many files" "$(find "$prefix" ! -type d | wc -l)" "$(find stage ! -type d | wc -l)"
expect_equal "places" "lib opt" "$(cd stage && echo *)"
expect_true "the command of a unit" grep -q "^ExecStart=/opt/w/bin/basebackup-push" stage/lib/systemd/system/walferry-backup.service
expect_equal "files that speak of DESTDIR" "" "$(grep -rlF "$T" stage --exclude-dir=bin || true)"
touch stage/opt/w/bin/of-somebody-else
quietly make -C "$TREE" uninstall DESTDIR="$T/stage" PREFIX=/opt/w UNITDIR=/lib/systemd/system
expect_equal "what is left" "stage/opt/w/bin/of-somebody-else" "$(find stage ! -type d)"
expect_equal "folders of ours that are left" "" "$(find stage -name 'walferry*')"

step "the units: systemd-analyze finds nothing, and little that they may"
units=$prefix/lib/systemd/system
export SYSTEMD_LOG_COLOR=0 SYSTEMD_UNIT_PATH="$units:/lib/systemd/system"
expect_status 0 systemd-analyze verify --man=no "$units"/walferry-*
expect_equal "what it says" "" "$output"
for unit in "$units"/*[a-z].service; do
    name=${unit##*/}
    sed -n 's/^ExecStart=//p' "$unit" >commands
    expect_true "$name does something" test -s commands
    while read -r program options; do
        expect_true "$name has its program" test -x "$program"
        for option in $options; do [[ $option != -* ]] || expect_true "$program has $option" grep -qw -- "$option" <<<"$("$program" --help)"; done
    done <commands
    expect_true "$name has its timer" test -s "${unit%.service}.timer"
    expect_true "$name for a cluster by its name" grep -qx 'Environment=WALFERRY_CONFIG=/etc/walferry/%i.conf' "${unit%.service}@.service"
    quietly systemd-analyze security --offline=yes --threshold=18 "$unit"
    tail -1 command.log
done
expect_equal "units that one of several clusters shares with the others" "" "$(grep -lE '^[^#]*walferry(-[a-z]*\.service|\.prom)' "$units"/*@.* || true)"
sed -i 's/^ProtectSystem=strict/ProtectSystem=strikt/; s/^Type=/Tipe=/' "$units/walferry-expire.service"
expect_true "a wrong line would have been found" grep -q Tipe <<<"$(systemd-analyze verify --man=no "$units/walferry-expire.service" 2>&1 || true)"

step "completion: of each program the options that its --help has; values that it, or its page, has"
unset COMP_WORDS
. "$prefix/share/bash-completion/completions/walferry"
PATH=$prefix/bin:$PATH
completed() { # WORD...: what there is for the last
    local shell_flags=$-
    set +eE
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _walferry 2>/dev/null # compopt is for the shell's own calls
    [[ $shell_flags != *e* ]] || set -eE
    [ ${#COMPREPLY[@]} = 0 ] || printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort
}
for program in $programs; do
    expect_true "$program has completion" complete -p "$program"
    expect_equal "it is found by its name" walferry "$(readlink "$prefix/share/bash-completion/completions/$program")"
    help=$("$program" --help)
    expect_equal "options of $program" "$(grep -Eo '^ {2,}(-., )?--[a-z-]+=?' <<<"$help" | grep -Eo -- '--.*' | LC_ALL=C sort)" "$(completed "$program" --)"
    expect_equal "a beginning" --help "$(completed "$program" --hel)"
    for option in $(grep -Eo '^ {2,}(-., )?--[a-z-]+=' <<<"$help" | grep -Eo -- '--[a-z-]+'); do
        for word in $(_walferry_words "$program" "$option"); do
            expect_true "$program $option $word is known to its page" grep -qw -- "$word" "$SOURCE/man/$program.1"
        done
    done
done
sed -n '/^_walferry_words/,/^}/s/^ *\([a-z].*\)) echo.*/\1/p' "$prefix/share/bash-completion/completions/walferry" | tr '|' '\n' | tr -d ' ' |
    sed -n 's/^\([a-z-]*[a-z]\)\(--[a-z-]*\)$/\1 \2/p' >words
expect_true "there are values" test "$(wc -l <words)" -gt 8
while read -r program option; do expect_true "$program has $option" grep -q -- " $option=" <<<"$("$program" --help)"; done <words
printf '[cluster]\nname = main\n[repository  here]\nurl = file:///none\n[repository there]\nurl = file:///none\n' >names.conf
expect_equal "names of repositories" "here there" "$(completed wal-push --config names.conf --repository '' | xargs)"
expect_equal "the same behind =" "there" "$(completed repository-sync --config = names.conf --from = t | xargs)"
# --config may name anybody's file: its words are no commands of whoever looks at it
printf '[repository $(touch %s)]\n[repository `touch %s`]\n[repository a.b_c-1]\n' "$T/made" "$T/made" >foreign.conf
expect_equal "of what could be a name" "a.b_c-1" "$(completed wal-push --config foreign.conf --repository '' | xargs)"
expect_absent made
expect_equal "a value" "include" "$(completed basebackup-push --wal = i)"
expect_equal "commands" "generate" "$(completed repository-key g)"
expect_equal "behind an option without a value" "--json" "$(completed basebackup-list -v --js)"

step "walferry.conf.sample: without its # a configuration; README's is in it"
sed 's/^#\([[a-z]\)/\1/; s|file:///var/backups/walferry|file:///nonexistent|' "$SOURCE/walferry.conf.sample" >"$CONFIG"
chmod 600 "$CONFIG"
expect_status 1 basebackup-list --repository local
expect_output "nonexistent"
expect_true "sections of it" test "$(grep -c '^\[' "$CONFIG")" = 4
sed -n '/^\[cluster\]$/,/^```/p' "$SOURCE/README.md" | sed '/^```/d; s/ *;.*//; /^$/d' >lines
expect_true "lines of README's" test "$(wc -l <lines)" -gt 6
while read -r line; do expect_true "$line" grep -qF -- "#$line" "$SOURCE/walferry.conf.sample"; done <lines
cp "$SOURCE/walferry.conf.sample" "$CONFIG"
expect_status 2 basebackup-list # as it is installed it says nothing, so nothing is done by mistake

step "make deb: of what is built (with --full: built anew, as it is for users)"
with="build/bin build/obj $(cd "$TREE" && echo build/*.a)"
export DEB_BUILD_OPTIONS=noautodbgsym
[ -z "$FULL" ] || with='' DEB_BUILD_OPTIONS=''
quietly make -C "$TREE" deb BUILD="$T/build" DEB_WITH="$with"
deb=$(echo "$T"/build/deb/walferry_*.deb)
expect_equal "its version is that of the programs" "$(basebackup-list --version | sed 's/.* //')" "$(dpkg-deb -f "$deb" Version)"
expect_status 0 lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$T"/build/deb/*.changes
expect_equal "what lintian says" "" "$(grep -v 'root privileges' <<<"$output" || true)"
expect_equal "configuration files" /etc/walferry.conf "$(dpkg-deb -I "$deb" conffiles)"
dpkg-deb -c "$deb" | awk '{print $1, $2, $6}' >contents
for line in "-rw-r----- root/root ./etc/walferry.conf" "drwx------ root/root ./etc/walferry/" "drwx------ root/root ./var/lib/walferry/"; do
    expect_true "$line" grep -qx -- "$line" contents
done
for program in $programs; do
    expect_true "$program" grep -qx -- "-rwxr-xr-x root/root ./usr/bin/$program" contents
    expect_true "the page of $program" grep -q -- "root ./usr/share/man/man1/$program.1.gz$" contents
done
# What is loaded by its name when it is needed no linker has noted.
for library in libcurl libssl libzstd libpq; do
    expect_true "it depends on $library" grep -q "\b${library}[0-9]" <<<"$(dpkg-deb -f "$deb" Depends)"
done
expect_equal "units that are enabled" "" "$(dpkg-deb -c "$deb" | grep '\.wants/' || true)"

step "removed and installed again: folders that dpkg has made anew are postgres', others are left alone; purged: what is not safe to lose stays"
script() { # NAME ARGUMENT...: a script of the package, for places in machine/
    sed "s| /etc/| $T/machine/etc/|g; s| /var/lib/walferry| $T/machine/var/lib/walferry|g" "$SOURCE/packaging/debian/walferry.$1" >"script.$1"
    expect_true "its places are ours" test "$(grep -c "$T/machine" "script.$1")" -ge 2
    expect_status 0 sh "script.$1" "${@:2}"
}
owners() { stat -c %U machine/etc/walferry machine/var/lib/walferry | xargs; }
mkdir -p machine/etc/walferry machine/var/lib/walferry
touch machine/etc/walferry.conf
if [ "$(id -u)" = 0 ] && getent passwd postgres >passwd; then # who else may not give files away
    script postinst configure ''
    expect_equal "owners" "postgres postgres" "$(owners)"
    chown root machine/etc/walferry machine/var/lib/walferry
    touch machine/etc/walferry/main.key
    script postinst configure 1.0
    expect_equal "owners, of one that is not empty and of one that is" "root postgres" "$(owners)"
fi
mkdir machine/var/lib/walferry/{main,other}
touch machine/var/lib/walferry/main/{gap-1.open,gap-1.in-here.json,epoch-here.json,stored-ahead,outcome.lock} machine/var/lib/walferry/other/recovery-1.json
script postrm purge
expect_equal "what is left" "main/epoch-here.json main/gap-1.in-here.json main/gap-1.open" "$(cd machine/var/lib/walferry && find . ! -type d -printf '%P\n' | sort | xargs)"
expect_absent machine/var/lib/walferry/other
rm machine/var/lib/walferry/main/*
script postrm purge
expect_absent machine/var/lib/walferry

step "the Dockerfile builds the package as docs/install.md does"
"$here/pages/blocks" "$SOURCE/docs/install.md" "$T" >blocks
expect_equal "commands" "$(sed 's/ *#.*//; /apt-get/d' 1 | paste -sd '&' | sed 's/&/ \&\& /')" "$(sed -n 's/^RUN \(tests.*\)/\1/p' "$SOURCE/packaging/docker/Dockerfile")"
expect_true "what is installed there is the package's name" grep -q "/tmp/$(basename "${deb%%_*}")_\*\.deb" "$SOURCE/packaging/docker/Dockerfile"
expect_equal "what the image runs is its base's: a server's image stays one" "" "$(sed '1,/^FROM \${BASE}/d' "$SOURCE/packaging/docker/Dockerfile" | grep -E '^(CMD|ENTRYPOINT)' || true)"
