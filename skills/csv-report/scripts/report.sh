#!/bin/sh
# Sums up a CSV file: report.sh FILE [--by COLUMN]... [--sum COLUMN]
# POSIX shell and awk only. Prints Markdown and changes nothing. Exit codes: 1 file or column not found, 2 wrong arguments.
set -eu

usage() {
  echo "usage: report.sh FILE [--by COLUMN]... [--sum COLUMN]" >&2
  exit 2
}

file='' by='' sum=''
while [ $# -gt 0 ]; do
  case $1 in
    --by) [ $# -ge 2 ] || usage; by="$by$2
"; shift 2 ;;
    --sum) [ $# -ge 2 ] || usage; sum=$2; shift 2 ;;
    -h | --help) usage ;;
    -*) echo "report.sh: unknown option $1" >&2; usage ;;
    *) [ -z "$file" ] || usage; file=$1; shift ;;
  esac
done
[ -n "$file" ] || usage
[ -f "$file" ] || { echo "report.sh: file $file not found" >&2; exit 1; }

# Passed through the environment, because awk would read backslashes in an assignment as escapes.
REPORT_BY=$by REPORT_SUM=$sum LC_ALL=C awk '
function fail(text) { print "report.sh: " text > "/dev/stderr"; failed = 1; exit 1 }

# Counts a character in a text.
function count(text, what,   copy) { copy = text; return gsub(what, "", copy) }

# Splits a record into field[1..n]. Quotes may contain separators, and a doubled quote means one.
function split_record(text,   at, char, quoted, now, n) {
  n = 1; now = ""; quoted = 0
  for (at = 1; at <= length(text); at++) {
    char = substr(text, at, 1)
    if (quoted) {
      if (char != "\"") now = now char
      else if (substr(text, at + 1, 1) == "\"") { now = now "\""; at++ }
      else quoted = 0
    } else if (char == "\"" && now ~ /^[ \t]*$/) { quoted = 1; now = "" }
    else if (char == sep) { field[n++] = now; now = "" }
    else now = now char
  }
  field[n] = now
  open = quoted
  return n
}

# Sets `value` and returns 1 if the text is a number in either notation.
function number(text,   plain, sign) {
  plain = text
  gsub(/^[ \t]+|[ \t]+$/, "", plain)
  gsub(/\302\240|\342\202\254|\302\243|[$]|EUR|USD|GBP|CHF/, "", plain)
  gsub(/ /, "", plain)
  sign = 1
  if (plain ~ /^[-+]/) { if (plain ~ /^-/) sign = -1; plain = substr(plain, 2) }
  if (plain ~ /^[0-9]+([.][0-9]+)?$/) { }
  else if (plain ~ /^[0-9][0-9]?[0-9]?(,[0-9][0-9][0-9])+([.][0-9]+)?$/) gsub(/,/, "", plain)
  else if (plain ~ /^[0-9][0-9]?[0-9]?([.][0-9][0-9][0-9])+,[0-9]+$/ || plain ~ /^[0-9]+,[0-9]+$/) { gsub(/[.]/, "", plain); sub(/,/, ".", plain) }
  else return 0
  # Keeps as many decimals as the file has, so that cents stay cents.
  decimals = index(plain, ".") ? length(plain) - index(plain, ".") : 0
  if (decimals > most) most = decimals > 6 ? 6 : decimals
  value = sign * plain
  return 1
}

function shown(x) { return sprintf("%." most "f", x) }
function cell(text) { gsub(/[\r\n]+/, " ", text); gsub(/\|/, "\\|", text); return text == "" ? "(empty)" : text }

# Finds a column by name or number.
function column(name,   at) {
  for (at = 1; at <= width; at++) if (head[at] == name) return at
  for (at = 1; at <= width; at++) if (tolower(head[at]) == tolower(name)) return at
  if (name ~ /^[0-9]+$/ && name + 0 >= 1 && name + 0 <= width) return name + 0
  for (at = 1; at <= width; at++) names = names (at > 1 ? ", " : "") head[at]
  fail("column \"" name "\" not found; columns: " names)
}

# The separator is the candidate that occurs most often in the first line.
function choose_separator(   most_seps) {
  sep = ","; most_seps = count(record, ",")
  if (count(record, ";") > most_seps) { sep = ";"; most_seps = count(record, ";") }
  if (count(record, "\t") > most_seps) { sep = "\t"; most_seps = count(record, "\t") }
  if (count(record, "[|]") > most_seps) sep = "|"
}

function begin(   at) {
  width = columns
  for (at = 1; at <= width; at++) { head[at] = field[at]; gsub(/^[ \t]+|[ \t]+$/, "", head[at]) }
  groups = split(ENVIRON["REPORT_BY"], wanted, "\n")
  # The last name also ends with a newline.
  if (groups > 0) groups--
  for (at = 1; at <= groups; at++) by[at] = column(wanted[at])
  if (ENVIRON["REPORT_SUM"] != "") total_of = column(ENVIRON["REPORT_SUM"])
}

function take(   n, at, key) {
  n = columns
  rows++
  if (n != width) { uneven++; if (!first_uneven) first_uneven = NR }
  for (at = 1; at <= width; at++) {
    text = at <= n ? field[at] : ""
    if (text ~ /^[ \t]*$/) { empty[at]++; continue }
    filled[at]++
    if (!number(text)) { words[at]++; continue }
    sums[at] += value
    if (!(at in low) || value < low[at]) low[at] = value
    if (!(at in high) || value > high[at]) high[at] = value
  }
  if (!groups && !total_of) return
  key = ""
  for (at = 1; at <= groups; at++) key = key (at > 1 ? " | " : "") cell(by[at] <= n ? field[by[at]] : "")
  if (!(key in rows_of)) order[++kinds] = key
  rows_of[key]++
  if (total_of && total_of <= n && number(field[total_of])) { sum_of[key] += value; total += value }
  else if (total_of) no_number++
}

{
  sub(/\r$/, "")
  record = open ? record "\n" $0 : $0
  if (record == "") next
  if (NR == 1) sub(/^\357\273\277/, "", record)
  if (!sep) choose_separator()
  columns = split_record(record)
  # An open quote continues in the next line.
  if (open) next
  if (!width) begin(); else take()
  record = ""
}

END {
  if (failed) exit 1
  if (!width) fail("the file is empty")
  if (open) print "! a quote is not closed: the last rows are missing\n"
  if (uneven) print "! rows with another number of columns than the first line: " uneven ", the first at line " first_uneven "\n"
  if (!groups && !total_of) {
    print rows + 0 " rows, " width " columns\n"
    print "| column | values | empty | not a number | sum | lowest | highest | mean |"
    print "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for (at = 1; at <= width; at++) {
      numbers = filled[at] - words[at]
      # A sum makes no sense for a column that is mostly text.
      if (numbers > 0 && numbers >= words[at])
        print "| " cell(head[at]) " | " filled[at] + 0 " | " empty[at] + 0 " | " words[at] + 0 " | " shown(sums[at]) " | " shown(low[at]) " | " shown(high[at]) " | " sprintf("%." (most < 2 ? 2 : most) "f", sums[at] / numbers) " |"
      else print "| " cell(head[at]) " | " filled[at] + 0 " | " empty[at] + 0 " | " words[at] + 0 " | | | | |"
    }
    exit 0
  }
  title = ""; line = ""
  for (at = 1; at <= groups; at++) { title = title "| " cell(head[by[at]]) " "; line = line "| --- " }
  if (!groups) { title = "| "; line = "| --- " }
  print title "| rows " (total_of ? "| " cell(head[total_of]) " |" : "|")
  print line "| ---: " (total_of ? "| ---: |" : "|")
  # Largest first; equal values in the order of the file.
  for (at = 1; at <= kinds; at++) {
    best = 0
    for (other = 1; other <= kinds; other++) {
      if (done[other]) continue
      weight = total_of ? sum_of[order[other]] + 0 : rows_of[order[other]]
      if (!best || weight > best_weight) { best = other; best_weight = weight }
    }
    done[best] = 1
    key = order[best]
    print "| " (groups ? key : "all") " | " rows_of[key] (total_of ? " | " shown(sum_of[key]) " |" : " |")
  }
  filler = ""
  for (at = 2; at <= groups; at++) filler = filler "| "
  print "| **total** " filler "| " rows + 0 (total_of ? " | " shown(total) " |" : " |")
  if (no_number) print "\n! rows without a number in " cell(head[total_of]) ": " no_number
}
' "$file"
