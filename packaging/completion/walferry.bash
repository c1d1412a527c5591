# bash completion for walferry's programs. What their options are they say themselves (--help), so this can't be behind them.
# shellcheck shell=bash

_walferry() {
    local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} option='' value='' help options
    COMPREPLY=()
    # bash takes "=" for a word of its own: "--wal" "=" "incl", or "--wal" "=" when the value is yet to begin
    if [ "$current" = = ]; then option=$before
    elif [ "$before" = = ] && [ "$COMP_CWORD" -ge 2 ]; then option=${COMP_WORDS[COMP_CWORD - 2]} value=$current
    elif [[ $before == -* ]]; then option=$before value=$current; fi
    help=$("$program" --help 2>/dev/null) || return 0
    # "-D, --pgdata=DIR": an option that stands alone takes the next word only if --help says that it has a value
    if [ -n "$option" ] && grep -Eq -- "^ {2,}(-., )?.*$option(, --[a-z-]+)?[=]" <<<"$help"; then
        _walferry_values "${program##*/}" "$option" "$value"
        return 0
    fi
    case $current in
    -*)
        options=$(sed -nE 's/^ {2,}(-., )?(--[a-z][a-z-]*=?).*/\2/p' <<<"$help")
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        [[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace 2>/dev/null ;;
    *)
        case ${program##*/} in
        repository-key) mapfile -t COMPREPLY < <(compgen -W "generate list rotate add unlock accept" -- "$current") ;;
        wal-push | wal-fetch) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        esac ;;
    esac
}

_walferry_values() { # PROGRAM OPTION BEGINNING
    local config
    case $2 in
    -D | --pgdata | --external) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$3") ;;
    --config | --output) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$3") ;;
    --repository | --from | --to)
        config=$(_walferry_config)
        # Only what a name may be: compgen -W would run the $(...) of a file that is anybody's.
        mapfile -t COMPREPLY < <(compgen -W "$(sed -nE 's/^\[repository +([A-Za-z0-9._-]+) *\].*/\1/p' "$config" 2>/dev/null)" -- "$3") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$(_walferry_words "$1" "$2")" -- "$3") ;;
    esac
}
_walferry_words() { # PROGRAM OPTION
    case $1$2 in
    basebackup-push--wal) echo archive include ;;
    basebackup-push--checkpoint | basebackup-push-c) echo spread fast ;;
    basebackup-push--page-errors) echo fail warn ;;
    basebackup-fetch--backup | basebackup-list--backup | basebackup-verify--backup) echo latest ;;
    basebackup-fetch--timeline) echo latest ;;
    recovery-config--timeline) echo latest current ;;
    recovery-config--action) echo pause promote shutdown ;;
    recovery-config--archive) echo off keep ;;
    restore-drill--backup) echo latest oldest random ;;
    restore-drill--target-time) echo latest random ;;
    esac
}
_walferry_config() {
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        [ "${COMP_WORDS[i]}" != --config ] || { [ "${COMP_WORDS[i + 1]}" = = ] && echo "${COMP_WORDS[i + 2]}" || echo "${COMP_WORDS[i + 1]}"; return; }
    done
    echo "${WALFERRY_CONFIG:-/etc/walferry.conf}"
}

