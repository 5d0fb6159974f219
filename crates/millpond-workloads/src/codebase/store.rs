//! What survives: files, changes and links in a `redb` database.
//!
//! ```text
//!   files     path                    → version, content      the current version
//!   changes   path, 0, version        → change record         every save
//!   links     from, to, kind          → ()
//! ```
//!
//! A save is one transaction: a reader, and whoever reopens the database after a
//! crash, sees all of it or nothing.

use super::database::LONGEST_PATH;
use anyhow::{Context, Result};
use arrayvec::ArrayVec;
use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

const FILES: TableDefinition<'_, &str, (u64, &str)> = TableDefinition::new("files");
const CHANGES: TableDefinition<'_, &[u8], &str> = TableDefinition::new("changes");
const LINKS: TableDefinition<'_, (&str, &str, &str), ()> = TableDefinition::new("links");

/// A change's key: the path, a zero byte, which no path has, and the version. One piece
/// of bytes, because a key of several is put together in a vector for each read.
fn change_key(path: &str, version: u64) -> ArrayVec<u8, { LONGEST_PATH + 9 }> {
    let mut key = ArrayVec::new();
    let path = path.as_bytes();
    for part in [
        &path[..path.len().min(LONGEST_PATH)],
        &[0],
        &version.to_be_bytes(),
    ] {
        let room = key.try_extend_from_slice(part);
        debug_assert!(room.is_ok(), "a path and a version fit");
    }
    key
}

/// An open database file, or one in memory.
#[derive(Debug)]
pub struct Store {
    database: Database,
    latest: Latest,
}

/// What readers read: tables as of the last commit, opened once and not for each read.
type Latest = Arc<RwLock<Option<Arc<Tables>>>>;

struct Tables {
    files: ReadOnlyTable<&'static str, (u64, &'static str)>,
    changes: ReadOnlyTable<&'static [u8], &'static str>,
}

/// A transaction that is not committed yet.
pub struct Batch {
    transaction: WriteTransaction,
    latest: Latest,
}

impl Store {
    /// Opens the database at `path`; makes it if it is not there.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, is open elsewhere, or is no database.
    pub fn open(path: &Path) -> Result<Self> {
        let database =
            Database::create(path).with_context(|| format!("database {}", path.display()))?;
        Self::prepare(database)
    }

    /// A database that lives as long as the process.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub fn in_memory() -> Result<Self> {
        let backend = redb::backends::InMemoryBackend::new();
        Self::prepare(Database::builder().create_with_backend(backend)?)
    }

    fn prepare(database: Database) -> Result<Self> {
        let transaction = database.begin_write()?;
        transaction.open_table(FILES)?;
        transaction.open_table(CHANGES)?;
        transaction.open_table(LINKS)?;
        transaction.commit()?;
        Ok(Self {
            database,
            latest: Latest::default(),
        })
    }

    /// The tables as of the last commit.
    fn tables(&self) -> Result<Arc<Tables>> {
        let known = self.latest.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(tables) = &*known {
            return Ok(Arc::clone(tables));
        }
        drop(known);
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that a commit that comes in between is not forgotten.
        let reading = self.database.begin_read()?;
        let tables = Arc::new(Tables {
            files: reading.open_table(FILES)?,
            changes: reading.open_table(CHANGES)?,
        });
        *latest = Some(Arc::clone(&tables));
        Ok(tables)
    }

    /// Begins a transaction. What is put into it is there once it is committed.
    ///
    /// # Errors
    ///
    /// If the database cannot be written to.
    pub fn begin(&self) -> Result<Batch> {
        Ok(Batch {
            transaction: self.database.begin_write()?,
            latest: Arc::clone(&self.latest),
        })
    }

    /// Calls `with` with the version and content of a file, if it is there.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub fn file<R>(&self, path: &str, with: impl FnOnce(u64, &str) -> R) -> Result<Option<R>> {
        let found = self.tables()?.files.get(path)?;
        Ok(found.map(|found| {
            let (version, content) = found.value();
            with(version, content)
        }))
    }

    /// Calls `each` with the path, version and content of every file, by path.
    ///
    /// # Errors
    ///
    /// If the database cannot be read, and what `each` says.
    pub fn each_file(&self, mut each: impl FnMut(&str, u64, &str) -> Result<()>) -> Result<()> {
        let files = self.database.begin_read()?.open_table(FILES)?;
        for entry in files.iter()? {
            let (path, found) = entry?;
            let (version, content) = found.value();
            each(path.value(), version, content)?;
        }
        Ok(())
    }

    /// Calls `each` with every link: from, to, kind.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub fn each_link(&self, mut each: impl FnMut(&str, &str, &str)) -> Result<()> {
        let links = self.database.begin_read()?.open_table(LINKS)?;
        for entry in links.iter()? {
            let (key, ()) = (entry?.0, ());
            let (from, to, kind) = key.value();
            each(from, to, kind);
        }
        Ok(())
    }

    /// Calls `with` with the record of one change, if it is there.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub fn change<R>(
        &self,
        path: &str,
        version: u64,
        with: impl FnOnce(&str) -> R,
    ) -> Result<Option<R>> {
        let found = self.tables()?.changes.get(&*change_key(path, version))?;
        Ok(found.map(|record| with(record.value())))
    }
}

impl Batch {
    /// Puts a version of a file and the record of the change.
    ///
    /// # Errors
    ///
    /// If the database cannot be written to.
    pub fn save(&self, path: &str, version: u64, content: &str, record: &str) -> Result<()> {
        self.transaction
            .open_table(FILES)?
            .insert(path, (version, content))?;
        self.transaction
            .open_table(CHANGES)?
            .insert(&*change_key(path, version), record)?;
        Ok(())
    }

    /// The content of a file as this transaction sees it.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub fn file<R>(&self, path: &str, with: impl FnOnce(&str) -> R) -> Result<R> {
        let files = self.transaction.open_table(FILES)?;
        let found = files.get(path)?;
        Ok(match &found {
            Some(found) => with(found.value().1),
            None => with(""),
        })
    }

    /// Puts a link.
    ///
    /// # Errors
    ///
    /// If the database cannot be written to.
    pub fn link(&self, from: &str, to: &str, kind: &str) -> Result<()> {
        self.transaction
            .open_table(LINKS)?
            .insert((from, to, kind), ())?;
        Ok(())
    }

    /// Makes it last: on a disk once this returns.
    ///
    /// # Errors
    ///
    /// If writing fails; nothing of the transaction is there then.
    pub fn commit(mut self) -> Result<()> {
        self.transaction.set_durability(Durability::Immediate)?;
        self.transaction.commit()?;
        // Whoever reads next opens the tables anew.
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}
