# Logs of steps, one for each attempt. Sourced before every step (workflow/rules/common.smk).

# Make the log of the next attempt at a step, say its name, and let the step's log lead to it.
# Arguments: <folder>/<step>.log, which becomes a link to <folder>/<step>.attempt-<number>.log.
log_of_attempt() {
    local stem=${1%.log} attempt=1 log
    if [ -f "$1" ] && [ ! -L "$1" ]; then  # written before attempts had logs of their own
        mv "$1" "$stem.attempt-0.log"
    fi
    while log=$stem.attempt-$attempt.log; ! (set -o noclobber; : >"$log") 2>/dev/null; do
        if [ ! -e "$log" ]; then
            printf 'palpate: %s: found a place where nothing can be written; expected a folder for logs. %s\n' \
                "$log" 'Make room there, or ask the owner for permission.' >&2
            return 2
        fi
        attempt=$((attempt + 1))
    done
    printf 'palpate: attempt %d on %s%s, %s\n' "$attempt" "$(uname -n)" \
        "${SLURM_JOB_ID:+, Slurm job $SLURM_JOB_ID}" "$(date '+%Y-%m-%d %H:%M:%S')" >"$log"
    ln -sfn "$(basename "$log")" "$1" 2>/dev/null || true  # some network shares know no links
    printf '%s' "$log"
}

# Run a command; what it says on stderr goes to the terminal and into the log of this attempt.
# Arguments: the step's log, then the command.
logged() {
    local log
    log=$(log_of_attempt "$1") || return
    shift
    "$@" 2> >(tee -a "$log" >&2)
}
