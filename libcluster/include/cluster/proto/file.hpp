#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/crypto/sha256.hpp"
#include "cluster/wire/codec.hpp"

/// Files in the key-value store: what is kept of each, and what clients and the server `files` say to each
/// other. A file is a head, kept under its name, and blobs, kept under their hashes (docs/files.md).
namespace cluster::proto {

inline constexpr std::size_t kFileNameBytesMax = 255;
inline constexpr std::size_t kFileTypeBytesMax = 127;
inline constexpr std::uint32_t kFileChunkBytes = 1u << 20;  ///< of new files
inline constexpr std::uint32_t kFileChunkBytesMax = 4u << 20;
inline constexpr std::size_t kFileFanOut = 1024;          ///< hashes in a list, at most
inline constexpr std::size_t kFileBatchMax = 16;          ///< blobs in one message,
inline constexpr std::size_t kFileBatchBytes = 4u << 20;  ///< and so many bytes, unless it is one blob
inline constexpr std::uint32_t kFileListMax = 1000;       ///< names in one answer

using FileHash = crypto::Digest;
/// One attempt to store a file, and what it stored: blobs are never shared between two of them.
using FileUploadId = std::array<std::uint8_t, 16>;

/// A name is 1 to 255 bytes of UTF-8 without control characters, and neither "." nor "..": a key, never a
/// path.
[[nodiscard]] Result<void> check_file_name(std::string_view name);
/// A media type as HTTP has it, such as "text/plain; charset=utf-8"; may be empty.
[[nodiscard]] Result<void> check_file_type(std::string_view type);

/// What is kept under a file's name. The blobs of a file of one chunk are that chunk; of more, the chunks and
/// lists of up to kFileFanOut hashes each, in levels, up to one list: the root. An empty file has none.
struct FileHead {
  FileUploadId upload{};
  std::uint64_t size = 0;  ///< in bytes
  std::uint32_t chunk_bytes = kFileChunkBytes;
  FileHash root{};  ///< of the only chunk, of the list above all, or of nothing
  std::string type{};
  WallTime stored{};
  friend bool operator==(const FileHead&, const FileHead&) = default;
};
/// For heads that came from elsewhere: after it, everything else here may rely on the head's form.
[[nodiscard]] Result<void> check(const FileHead& head);
[[nodiscard]] std::uint64_t chunks_of(const FileHead& head) noexcept;
/// How many levels of lists are above the chunks, 0 to 7.
[[nodiscard]] unsigned levels_of(const FileHead& head) noexcept;

struct FileBlob {
  static constexpr bool wire_positional = true;

  FileHash hash{};
  Bytes data{};
};
/// `corrupt` if `data` is not what `hash` stands for.
[[nodiscard]] Result<void> check_blob(const FileHash& hash, ByteView data);

/// "2026-01-31T08:05:00Z"
[[nodiscard]] std::string time_text(WallTime time);

struct FileEntry {
  std::string name{};
  FileHead head{};
};

/// What a name must lead to for a change of it to be made; nothing stated: anything.
struct FileCondition {
  bool absent = false;                            ///< to no file,
  bool present = false;                           ///< to a file,
  std::optional<std::vector<FileHash>> one_of{};  ///< to one with one of these roots
};
/// Whether `head`, null if there is no file, is as the condition wants it: `already_exists` or `refused`.
[[nodiscard]] Result<void> check(const FileCondition& condition, std::string_view name, const FileHead* head);

// What the server `files` is asked. All of it may be asked again when the answer was lost.

/// To store a file under `name`. Takes up the last attempt for this name that did not come to its end, unless
/// it is to be `fresh`: then nobody else knows of it.
struct FileBegin {
  static constexpr std::string_view event = "begin";
  std::string name{};
  bool fresh = false;
  FileCondition condition{};  ///< looked at now, so that nothing is sent in vain
  struct Answer {
    FileUploadId upload{};
    bool resumes = false;  ///< some of the blobs may be there
  };
  using reply = Answer;
};
/// Which of these blobs are still to be stored. What is there has been read and checked.
struct FileMissing {
  static constexpr std::string_view event = "missing";
  FileUploadId upload{};
  std::vector<FileHash> hashes{};  ///< at most kFileBatchMax
  using reply = std::vector<bool>;
};
/// Stores blobs: all are on the disks of W replicas when the answer is there.
struct FileStoreBlobs {
  static constexpr std::string_view event = "store";
  FileUploadId upload{};
  std::vector<FileBlob> blobs{};  ///< at most kFileBatchMax
  using reply = std::uint64_t;    ///< how many
};
/// The end of an attempt: from now on `name` is this file. `not_found` if the attempt has been given up
/// meanwhile.
struct FileCommit {
  static constexpr std::string_view event = "commit";
  std::string name{};
  FileHead head{};            ///< `stored` is set by the server
  FileCondition condition{};  ///< if it does not hold any more the attempt is given up
  using reply = FileHead;
};
/// Gives an attempt up that will not come to its end: what it stored may go.
struct FileAbandon {
  static constexpr std::string_view event = "abandon";
  std::string name{};
  FileUploadId upload{};
  using reply = bool;
};
struct FileStat {
  static constexpr std::string_view event = "stat";
  std::string name{};
  using reply = FileHead;
};
/// Blobs by their hashes, in the order asked for. `not_found`; `corrupt` if one is not what it should be.
struct FileFetch {
  static constexpr std::string_view event = "fetch";
  FileUploadId upload{};
  std::vector<FileHash> hashes{};  ///< at most kFileBatchMax
  using reply = std::vector<Bytes>;
};
/// Files in the order of their names, from behind the name `after` on.
struct FileList {
  static constexpr std::string_view event = "list";
  std::string prefix{};
  std::string after{};
  std::uint32_t limit = kFileListMax;
  struct Answer {
    std::vector<FileEntry> files{};
    std::string next{};            ///< to go on after; empty: these are all
    std::vector<NodeId> silent{};  ///< members that gave no answer
  };
  using reply = Answer;
};
struct FileRemove {
  static constexpr std::string_view event = "remove";
  std::string name{};
  FileCondition condition{};
  using reply = FileHead;  ///< of what is gone
};
/// Looks now for blobs that no file names, among the attempts that this node is to look after.
struct FileCollect {
  static constexpr std::string_view event = "collect";
  bool at_once = false;  ///< also of files that were removed just now: who reads one fails
  struct Answer {
    std::uint64_t uploads = 0;  ///< looked at
    std::uint64_t collected = 0;
    std::uint64_t blobs = 0;  ///< deleted
  };
  using reply = Answer;
};

}  // namespace cluster::proto
