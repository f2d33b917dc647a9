# Debian packages: `cpack -G DEB` in the build folder writes them to packages/.
#   cluster-node    the programs, a systemd unit and its settings
#   libcluster-dev  headers, libraries and CMake files
set(CPACK_PACKAGE_VENDOR "libcluster")
set(CPACK_PACKAGE_CONTACT "libcluster <libcluster@localhost>")
set(CPACK_OUTPUT_FILE_PREFIX ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL programs service)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

if(CLUSTER_BUILD_RUNTIME)
  set(deploy ${PROJECT_SOURCE_DIR}/deploy)
  find_program(GZIP gzip REQUIRED)
  foreach(page cluster-node.1 cluster-cli.1)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${deploy}/debian/${page})
    file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/package)
    execute_process(COMMAND ${GZIP} -9nc ${deploy}/debian/${page}
      OUTPUT_FILE ${PROJECT_BINARY_DIR}/package/${page}.gz COMMAND_ERROR_IS_FATAL ANY)
    install(FILES ${PROJECT_BINARY_DIR}/package/${page}.gz
      DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT programs)
  endforeach()
  # Of the package alone: `cmake --install` touches nothing outside its prefix.
  install(FILES ${deploy}/systemd/cluster-node.service DESTINATION /lib/systemd/system
    COMPONENT service EXCLUDE_FROM_ALL)
  install(FILES ${deploy}/systemd/node.env DESTINATION /etc/cluster
    PERMISSIONS OWNER_READ OWNER_WRITE COMPONENT service EXCLUDE_FROM_ALL)
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/cluster-node
    RENAME copyright COMPONENT service EXCLUDE_FROM_ALL)

  set(CPACK_DEBIAN_NODE_PACKAGE_NAME cluster-node)
  set(CPACK_DEBIAN_NODE_PACKAGE_SECTION net)
  set(CPACK_DEBIAN_NODE_DESCRIPTION "Node of a cluster of distributed actors
 cluster-node runs a node of a cluster: servers that call each other by name, a ring
 of members that spreads by gossip, and an HTTP API. cluster-cli steers it.")
  set(CPACK_DEBIAN_NODE_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_NODE_PACKAGE_CONTROL_EXTRA ${deploy}/debian/postinst;${deploy}/debian/prerm;${deploy}/debian/postrm)
  file(WRITE ${PROJECT_BINARY_DIR}/package/conffiles "/etc/cluster/node.env\n")
  list(APPEND CPACK_DEBIAN_NODE_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/package/conffiles)
  list(APPEND CPACK_COMPONENTS_ALL dev)
  set(CPACK_DEBIAN_DEV_PACKAGE_NAME libcluster-dev)
  set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
  set(CPACK_DEBIAN_DEV_DESCRIPTION "Distributed actors in C++20: headers and libraries
 GenServers that call and cast each other by name on any node, a network kernel with
 signed frames, a gossiped ring of members, and consistent hashing.")
  set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
    "libcaf-dev (>= 0.17.6), libboost1.81-dev, libssl-dev (>= 3.0), libxxhash-dev, nlohmann-json3-dev")
endif()

include(CPack)
cpack_add_component(programs GROUP node)
cpack_add_component(service GROUP node)
cpack_add_component(dev GROUP dev)
