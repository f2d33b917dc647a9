# Reads ctest's LastTest.log, prints "PASSED FAILED SKIPPED". A doctest program, a Python unittest and node's
# test runner (TAP) count their test cases; any other test, and a program that died before its summary, counts as one. A test that
# cannot run here says "skipped: WHY" and exits with the code that ctest takes for that; the log calls it passed.

function close_test() {
  if (!open) return
  if (ok == 0 && cases_failed == 0) failed += 1
  if (ok == 1 && cases_passed + cases_failed + cases_skipped == 0) cases_passed = 1
  passed += cases_passed
  skipped += cases_skipped
  failed += cases_failed
  open = 0
}

/^[0-9]+\/[0-9]+ Testing: / { close_test(); open = 1; ok = 0; cases_passed = 0; cases_failed = 0; cases_skipped = 0 }
/^\[doctest\] test cases:/ {
  match($0, /[0-9]+ passed/); cases_passed = substr($0, RSTART, RLENGTH) + 0
  match($0, /[0-9]+ failed/); cases_failed = substr($0, RSTART, RLENGTH) + 0
}
/^skipped: / { cases_skipped = 1 }
/^# pass [0-9]+$/ { cases_passed = $3 + 0 }
/^# fail [0-9]+$/ { cases_failed = $3 + 0 }
/^Ran [0-9]+ tests? in / { cases_passed = $2 + 0; cases_skipped = 0 }
/^(OK|FAILED) \((failures|errors|skipped)=/ {
  while (match($0, /(failures|errors|skipped)=[0-9]+/)) {
    kind = substr($0, RSTART, 1)
    count = substr($0, RSTART, RLENGTH)
    sub(/.*=/, "", count)
    if (kind == "s") cases_skipped += count
    else cases_failed += count
    cases_passed -= count
    $0 = substr($0, RSTART + RLENGTH)
  }
}
/^Test Passed\.$|^Test Pass Reason:/ { ok = 1 }
END { close_test(); print passed + 0, failed + 0, skipped + 0 }
