# Completions of kvscope for bash: the program itself is asked.

_kvscope() {
    # Bash takes words apart at = and :, which addresses, keys and --flag=value have in them. They are
    # put together again here; $before is what then stands before the part that bash replaces.
    local -a words=()
    local rest=$COMP_LINE trimmed before= i last=-1
    for ((i = 0; i <= COMP_CWORD; i++)); do
        trimmed=${rest#"${rest%%[![:space:]]*}"}
        if [[ $i -eq 0 || $trimmed != "$rest" ]]; then
            last=$((last + 1))
            words[last]=
        fi
        if [[ $i -lt $COMP_CWORD || -z $2 && ${COMP_WORDS[i]} == [=:]* ]]; then
            words[last]+=${COMP_WORDS[i]}
            rest=${trimmed#"${COMP_WORDS[i]}"}
        fi
    done
    before=${words[last]}
    # An @ it takes for the begin of a host's name: as a word of its own, and in front of the other.
    if [[ $2 == @* ]]; then
        before=${before%@}
    fi
    words[last]=$before$2

    COMPREPLY=()
    IFS=$'\013' read -r -d '' -a COMPREPLY < <(
        _CLAP_IFS=$'\013' \
            _CLAP_COMPLETE_INDEX=$last \
            _CLAP_COMPLETE_COMP_TYPE=$COMP_TYPE \
            _CLAP_COMPLETE_SPACE=false \
            KVSCOPE_COMPLETE=bash \
            kvscope -- "${words[@]}" 2>/dev/null
    )
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

complete -o bashdefault -o nosort -F _kvscope kvscope 2>/dev/null ||
    complete -o bashdefault -F _kvscope kvscope
