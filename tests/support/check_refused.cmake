# cmake -DCOMPILER=... -DALL_ERRORS=... -DINCLUDE=DIR[;DIR] -DCASES=FILE -P check_refused.cmake: compiles FILE, which must
# fail, with an error for each of its lines that ends with `// SENTENCE`: one that says SENTENCE.
list(TRANSFORM INCLUDE PREPEND -I)
execute_process(COMMAND ${COMPILER} -std=c++20 -fsyntax-only ${ALL_ERRORS} -fno-diagnostics-show-caret ${INCLUDE} ${CASES}
                RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(result EQUAL 0)
  message(FATAL_ERROR "${CASES} compiled")
endif()
file(STRINGS ${CASES} lines REGEX ";.* // ")
foreach(line IN LISTS lines)
  string(REGEX REPLACE ".*// " "" sentence "${line}")
  string(FIND "${output}" "${sentence}" found)
  if(found EQUAL -1)
    message(SEND_ERROR "no error says: ${sentence}\n${output}")
  endif()
endforeach()
