// SPDX-License-Identifier: BSL-1.0
// A VFS for SQLite over the real one: counts writes and syncs, fails the ones that a test names, and knows what
// a loss of power would leave.
#pragma once

#include <sqlite3.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace support {

inline std::string read_file(const std::filesystem::path& name) {
    std::ifstream in(name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
inline void write_file(const std::filesystem::path& name, const std::string& bytes) {
    std::ofstream(name, std::ios::binary | std::ios::trunc) << bytes;
}

class faulty_vfs {
public:
    faulty_vfs() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
        vfs_.zName = name;
        vfs_.pNext = nullptr;
        vfs_.pAppData = this;
        vfs_.szOsFile = static_cast<int>(sizeof(file)) + real_->szOsFile;
        vfs_.xOpen = open;
        vfs_.xDelete = [](sqlite3_vfs* v, const char* n, int sync) {
            self(v).synced_.erase(n);
            return self(v).real_->xDelete(self(v).real_, n, sync);
        };
        vfs_.xAccess = [](sqlite3_vfs* v, const char* n, int f, int* r) { return self(v).real_->xAccess(self(v).real_, n, f, r); };
        vfs_.xFullPathname = [](sqlite3_vfs* v, const char* n, int s, char* o) { return self(v).real_->xFullPathname(self(v).real_, n, s, o); };
        sqlite3_vfs_register(&vfs_, 0);
    }
    ~faulty_vfs() { sqlite3_vfs_unregister(&vfs_); }
    faulty_vfs(const faulty_vfs&) = delete;
    faulty_vfs& operator=(const faulty_vfs&) = delete;

    static constexpr const char* name = "faulty";
    static constexpr int none = 1 << 30;

    int writes = 0, syncs = 0;     // so far
    int fail_write = none;         // this one and all later: no space left, after half of a page
    int fail_sync = none;          // this one alone: input/output error
    std::vector<std::string> written;  // the file of each write, by the end of its name

    // What a file would be after a loss of power: as of its last successful sync.
    [[nodiscard]] std::string synced(const std::string& path) const {
        const auto at = synced_.find(path);
        return at == synced_.end() ? std::string() : at->second;
    }

private:
    struct file : sqlite3_file {
        faulty_vfs* owner;
        std::string* path;
        sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
    };
    static faulty_vfs& self(sqlite3_vfs* v) { return *static_cast<faulty_vfs*>(v->pAppData); }
    static file& of(sqlite3_file* f) { return *static_cast<file*>(f); }

    static int open(sqlite3_vfs* v, sqlite3_filename path, sqlite3_file* f, int flags, int* out) {
        file& made = of(f);
        made.pMethods = nullptr;
        const int code = self(v).real_->xOpen(self(v).real_, path, made.real(), flags, out);
        if (code != SQLITE_OK) return code;
        made.owner = &self(v);
        made.path = new std::string(path ? path : "");
        made.pMethods = &methods();
        return SQLITE_OK;
    }
    static int write(sqlite3_file* f, const void* data, int n, sqlite3_int64 at) {
        file& target = of(f);
        faulty_vfs& o = *target.owner;
        o.written.push_back(target.path->ends_with("-wal") ? "wal" : target.path->ends_with("-journal") ? "journal" : "main");
        if (++o.writes < o.fail_write) return target.real()->pMethods->xWrite(target.real(), data, n, at);
        // Heads of the log and of its frames are less than a sector: there is no half of one.
        if (n >= 512) (void)target.real()->pMethods->xWrite(target.real(), data, n / 2, at);
        return SQLITE_FULL;
    }
    static int sync(sqlite3_file* f, int) {
        file& target = of(f);
        if (++target.owner->syncs == target.owner->fail_sync) return SQLITE_IOERR_FSYNC;
        target.owner->synced_[*target.path] = read_whole(target.real());
        return SQLITE_OK;  // not passed on: the disk of the machine is not what is tested
    }
    static std::string read_whole(sqlite3_file* f) {
        sqlite3_int64 size = 0;
        f->pMethods->xFileSize(f, &size);
        std::string bytes(static_cast<std::size_t>(size), '\0');
        if (size > 0) f->pMethods->xRead(f, bytes.data(), static_cast<int>(size), 0);
        return bytes;
    }
    static const sqlite3_io_methods& methods() {
        static const sqlite3_io_methods table = [] {
            sqlite3_io_methods m{};
            m.iVersion = 1;
            m.xClose = [](sqlite3_file* f) {
                delete of(f).path;
                return of(f).real()->pMethods->xClose(of(f).real());
            };
            m.xRead = [](sqlite3_file* f, void* b, int n, sqlite3_int64 at) { return of(f).real()->pMethods->xRead(of(f).real(), b, n, at); };
            m.xWrite = write;
            m.xTruncate = [](sqlite3_file* f, sqlite3_int64 n) { return of(f).real()->pMethods->xTruncate(of(f).real(), n); };
            m.xSync = sync;
            m.xFileSize = [](sqlite3_file* f, sqlite3_int64* n) { return of(f).real()->pMethods->xFileSize(of(f).real(), n); };
            m.xLock = [](sqlite3_file* f, int l) { return of(f).real()->pMethods->xLock(of(f).real(), l); };
            m.xUnlock = [](sqlite3_file* f, int l) { return of(f).real()->pMethods->xUnlock(of(f).real(), l); };
            m.xCheckReservedLock = [](sqlite3_file* f, int* r) { return of(f).real()->pMethods->xCheckReservedLock(of(f).real(), r); };
            m.xFileControl = [](sqlite3_file* f, int op, void* a) { return of(f).real()->pMethods->xFileControl(of(f).real(), op, a); };
            m.xSectorSize = [](sqlite3_file* f) { return of(f).real()->pMethods->xSectorSize(of(f).real()); };
            m.xDeviceCharacteristics = [](sqlite3_file* f) { return of(f).real()->pMethods->xDeviceCharacteristics(of(f).real()); };
            return m;
        }();
        return table;
    }
    sqlite3_vfs* real_;
    sqlite3_vfs vfs_;
    std::map<std::string, std::string> synced_;
};

}  // namespace support
