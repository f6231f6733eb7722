# shellcheck shell=bash
# run_gtest PROGRAM [ARG...]: runs a gtest program and prints its cases as `ok NAME` and `not ok NAME: why`.

# What a failure says stands before it, on lines of its own.
translate_gtest() {
  local line name why=""
  while IFS= read -r line; do
    case $line in
      "[ RUN      ] "*) why="" ;;
      "[       OK ] "*) name=${line#*] } && echo "ok ${name%% *}" ;;
      "[  FAILED  ] "*" ms)") name=${line#*] } && echo "not ok ${name%% *}: ${why:-failed}" ;;
      "["* | "") ;;
      *) line=${line:0:300} && printf '  %s\n' "$line" && why="$why${why:+ }$line" ;;
    esac
  done
}

run_gtest() {
  local program=$1 status
  shift
  [ -x "$program" ] || { echo "not ok $(basename "$program"): $program is not built"; return 1; }
  "$program" --gtest_color=no "$@" 2>&1 | translate_gtest
  status=${PIPESTATUS[0]}
  [ "$status" -lt 2 ] || echo "not ok $(basename "$program"): ended with status $status"
  return "$status"
}
