# Installs the layers, the programs and a package config. A stranger writes
#   find_package(libcluster COMPONENTS ds)          # CHash and VectorClock; needs OpenSSL only
#   target_link_libraries(app PRIVATE cluster::ds)
# or, for a distributed application, COMPONENTS cluster and cluster::cluster. Each layer is a component too.
include(CMakePackageConfigHelpers)
get_property(layers GLOBAL PROPERTY CLUSTER_LAYERS)

# All that a distributed application includes; the adapters to JSON are asked for by name.
if(CLUSTER_BUILD_RUNTIME)
  add_library(cluster_cluster INTERFACE)
  add_library(cluster::cluster ALIAS cluster_cluster)
  set_target_properties(cluster_cluster PROPERTIES EXPORT_NAME cluster)
  set(whole ${layers})
  list(FILTER whole EXCLUDE REGEX "_json$")
  target_link_libraries(cluster_cluster INTERFACE ${whole})
  list(APPEND layers cluster_cluster)
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/libcluster)
foreach(layer IN LISTS layers)
  get_target_property(file_sets ${layer} INTERFACE_HEADER_SETS)
  set(headers)
  if(NOT file_sets)
    set(file_sets)
  endif()
  foreach(set IN LISTS file_sets)
    list(APPEND headers FILE_SET ${set} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
  endforeach()
  install(TARGETS ${layer} EXPORT libcluster-targets ARCHIVE COMPONENT dev LIBRARY COMPONENT dev ${headers})
endforeach()
install(EXPORT libcluster-targets NAMESPACE cluster:: DESTINATION ${package_dir} COMPONENT dev)

foreach(program cluster-node cluster-cli)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME COMPONENT programs)
  endif()
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT dev)

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/libcluster-config.cmake.in
  ${PROJECT_BINARY_DIR}/package/libcluster-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/libcluster-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/package/libcluster-config.cmake
              ${PROJECT_BINARY_DIR}/package/libcluster-config-version.cmake
              ${PROJECT_SOURCE_DIR}/cmake/FindCAF.cmake
  DESTINATION ${package_dir} COMPONENT dev)
