# SPDX-License-Identifier: MIT
# bash completion for extensionctl(1)

_extensionctl() {
    local -A OPTIONS=(
        [common]="--root --json --no-legend --no-pager --help"
        [status]=""
        [list]=""
        [explain]=""
        [plan]=""
        [check]="--os-release --os-root"
        [merge]="--dry-run"
        [refresh]="--dry-run --always --force"
        [unmerge]="--dry-run"
        [rollback]="--dry-run"
        [history]=""
    )
    local VERBS="status list explain plan check merge refresh unmerge rollback history"
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local i word verb="" root=()
    COMPREPLY=()

    # "--json=short" is three words to bash: the option, "=" and the value.
    if [[ $cur == "=" ]]; then
        cur=""
    elif [[ $prev == "=" ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    [[ ${COMP_WORDS[COMP_CWORD]} == "=" ]] && prev=${COMP_WORDS[COMP_CWORD-1]}

    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            --root|--json|--os-release|--os-root|--force)
                [[ ${COMP_WORDS[i+1]} == "=" ]] && ((i++))
                [[ $word == --root && -n ${COMP_WORDS[i+1]} ]] && root=("--root=${COMP_WORDS[i+1]}")
                ((i++))
                ;;
            -*|=) ;;
            *) [[ -z $verb ]] && verb=$word ;;
        esac
    done

    case $prev in
        --root|--os-root)
            mapfile -t COMPREPLY < <(compgen -d -- "$cur")
            compopt -o filenames
            return ;;
        --os-release)
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            compopt -o filenames
            return ;;
        --force)
            mapfile -t COMPREPLY < <(compgen -W "$(extensionctl "${root[@]}" list --no-legend --no-pager 2>/dev/null | awk '{print $1}')" -- "$cur")
            return ;;
        --json)
            mapfile -t COMPREPLY < <(compgen -W "short pretty off" -- "$cur")
            return ;;
    esac

    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${OPTIONS[common]} ${verb:+${OPTIONS[$verb]-}}" -- "$cur")
    elif [[ -z $verb ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$VERBS" -- "$cur")
    elif [[ $verb == explain ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(extensionctl "${root[@]}" list --no-legend --no-pager 2>/dev/null | awk '{print $1}')" -- "$cur")
    elif [[ $verb == check ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        compopt -o filenames
    fi
}

complete -F _extensionctl extensionctl
