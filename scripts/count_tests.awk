# Reads ctest's LastTest.log, prints "PASSED FAILED". A doctest program and a Python unittest count
# their test cases; any other test, and a program that died before its summary, counts as one.

function close_test() {
  if (!open) return
  if (ok == 0 && cases_failed == 0) failed += 1
  if (ok == 1 && cases_passed == 0 && cases_failed == 0) passed += 1
  passed += cases_passed
  failed += cases_failed
  open = 0
}

/^[0-9]+\/[0-9]+ Testing: / { close_test(); open = 1; ok = 0; cases_passed = 0; cases_failed = 0 }
/^\[doctest\] test cases:/ {
  match($0, /[0-9]+ passed/); cases_passed = substr($0, RSTART, RLENGTH) + 0
  match($0, /[0-9]+ failed/); cases_failed = substr($0, RSTART, RLENGTH) + 0
}
/^Ran [0-9]+ tests? in / { cases_passed = $2 + 0 }
/^FAILED \((failures|errors)=/ {
  while (match($0, /(failures|errors)=[0-9]+/)) {
    count = substr($0, RSTART, RLENGTH)
    sub(/.*=/, "", count)
    cases_failed += count
    cases_passed -= count
    $0 = substr($0, RSTART + RLENGTH)
  }
}
/^Test Passed\.$|^Test Pass Reason:/ { ok = 1 }
END { close_test(); print passed + 0, failed + 0 }
