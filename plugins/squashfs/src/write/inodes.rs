//! The inode table and the directory table.

use std::collections::BTreeMap;

use nacre_sdk::Error;

use super::table::{Compression, Table};
use super::tree::{Body, Node, Tree};
use crate::read::inode::NO_FRAGMENT;
use crate::read::tables::NO_XATTRS;

/// The most names behind one header in a folder's list.
const MAX_RUN: usize = 256;
/// The bytes that a folder's list has for `.` and `..`, without holding them.
const DOTS: u32 = 3;

/// Where an inode lies: the block in the inode table, and the offset in it.
type At = (u32, u16);

/// The finished tables.
pub struct Tables {
    /// The inode table.
    pub inodes: Vec<u8>,
    /// The directory table.
    pub directories: Vec<u8>,
    /// The root folder's inode.
    pub root: u64,
}

/// Writes both tables. A folder's list tells where the inodes lie, so what is in a folder goes
/// before it: the last folder first, and the root last.
///
/// # Errors
/// Compressing failed.
pub fn write(tree: &Tree, compression: Compression) -> Result<Tables, Error> {
    let (inodes, directories) = (Table::new(compression), Table::new(compression));
    let mut writer = Writer { tree, inodes, directories, places: vec![None; tree.nodes.len()] };
    for (index, node) in tree.nodes.iter().enumerate().rev() {
        if let Body::Directory(children) = &node.body {
            writer.files(children)?;
            writer.folder(index, node, children)?;
        }
    }
    let (block, offset) = writer.place(0);
    let root = u64::from(block) << 16 | u64::from(offset);
    Ok(Tables { inodes: writer.inodes.finish()?, directories: writer.directories.finish()?, root })
}

struct Writer<'a> {
    tree: &'a Tree,
    inodes: Table,
    directories: Table,
    places: Vec<Option<At>>,
}

impl Writer<'_> {
    fn place(&self, index: u32) -> At {
        self.places.get(index as usize).copied().flatten().unwrap_or_default()
    }

    /// The inodes of a folder's files, but for those that another name of theirs brought already.
    fn files(&mut self, children: &BTreeMap<Vec<u8>, u32>) -> Result<(), Error> {
        for &index in children.values() {
            let Some((node, place)) = self.tree.nodes.get(index as usize).zip(self.places.get_mut(index as usize)) else { continue };
            if place.is_none() && !matches!(node.body, Body::Directory(_)) {
                *place = Some(self.inodes.place());
                self.inodes.push(&file_inode(node, number(index)))?;
            }
        }
        Ok(())
    }

    fn folder(&mut self, index: usize, node: &Node, children: &BTreeMap<Vec<u8>, u32>) -> Result<(), Error> {
        let at = self.directories.place();
        let list = self.list(children);
        self.directories.push(&list)?;
        let is_folder = |index: &&u32| matches!(self.tree.nodes.get(**index as usize).map(|node| &node.body), Some(Body::Directory(_)));
        let links = 2 + children.values().filter(is_folder).count() as u32;
        // The root's parent has a number that no inode has.
        let parent = if index == 0 { number(self.tree.nodes.len() as u32) } else { number(node.parent) };
        let size = list.len() as u32 + DOTS;
        let inode = match u16::try_from(size) {
            Ok(size) if node.xattrs == NO_XATTRS => {
                let mut inode = base(node, 1, number(index as u32));
                push(&mut inode, [at.0, links]);
                inode.extend([size.to_le_bytes(), at.1.to_le_bytes()].concat());
                push(&mut inode, [parent]);
                inode
            }
            _ => {
                let mut inode = base(node, 8, number(index as u32));
                push(&mut inode, [links, size, at.0, parent]);
                inode.extend([0u16.to_le_bytes(), at.1.to_le_bytes()].concat());
                push(&mut inode, [node.xattrs]);
                inode
            }
        };
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(self.inodes.place());
        }
        self.inodes.push(&inode)
    }

    /// A folder's list: runs of names whose inodes lie in one block and have numbers close by.
    fn list(&self, children: &BTreeMap<Vec<u8>, u32>) -> Vec<u8> {
        let mut list = Vec::new();
        let mut run: Vec<(&Vec<u8>, u32)> = Vec::new();
        for (name, &index) in children {
            let fits = run.first().is_none_or(|&(_, first)| {
                let distance = i64::from(index) - i64::from(first);
                self.place(first).0 == self.place(index).0 && i16::try_from(distance).is_ok() && run.len() < MAX_RUN
            });
            if !fits {
                self.push_run(&mut list, &run);
                run.clear();
            }
            run.push((name, index));
        }
        self.push_run(&mut list, &run);
        list
    }

    fn push_run(&self, list: &mut Vec<u8>, run: &[(&Vec<u8>, u32)]) {
        let Some(&(_, first)) = run.first() else { return };
        push(list, [run.len() as u32 - 1, self.place(first).0, number(first)]);
        for &(name, index) in run {
            // A run holds only what is within 16 bits of its first.
            let distance = index.wrapping_sub(first) as u16;
            let kind = self.tree.nodes.get(index as usize).map_or(0, |node| kind(&node.body));
            let fields = [self.place(index).1, distance, kind, name.len() as u16 - 1];
            list.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
            list.extend_from_slice(name);
        }
    }
}

/// An inode's number: they count from 1.
fn number(index: u32) -> u32 {
    index.saturating_add(1)
}

/// The number of a basic inode's type; that of the extended one is 7 more.
fn kind(body: &Body) -> u16 {
    match body {
        Body::Directory(_) => 1,
        Body::File { .. } => 2,
        Body::Symlink(_) => 3,
        Body::BlockDevice(_) => 4,
        Body::CharDevice(_) => 5,
        Body::Fifo => 6,
    }
}

/// `squashfs_base_inode`.
fn base(node: &Node, kind: u16, number: u32) -> Vec<u8> {
    let mut inode = Vec::with_capacity(64);
    inode.extend([kind, node.mode, node.uid, node.gid].iter().flat_map(|field| field.to_le_bytes()));
    push(&mut inode, [node.mtime, number]);
    inode
}

fn push<const N: usize>(bytes: &mut Vec<u8>, fields: [u32; N]) {
    bytes.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
}

/// The inode of what is no folder; an extended one if a basic one cannot say it.
fn file_inode(node: &Node, number: u32) -> Vec<u8> {
    let has_xattrs = node.xattrs != NO_XATTRS;
    let basic = kind(&node.body);
    let mut inode = base(node, if has_xattrs { basic + 7 } else { basic }, number);
    match &node.body {
        Body::File { start, size, blocks, fragment } => {
            return file(node, number, (*start, *size), blocks, fragment.unwrap_or((NO_FRAGMENT, 0)));
        }
        Body::Symlink(target) => {
            push(&mut inode, [node.links, target.len() as u32]);
            inode.extend(target);
        }
        Body::BlockDevice(device) | Body::CharDevice(device) => push(&mut inode, [node.links, *device]),
        Body::Fifo | Body::Directory(_) => push(&mut inode, [node.links]),
    }
    if has_xattrs {
        push(&mut inode, [node.xattrs]);
    }
    inode
}

fn file(node: &Node, number: u32, (start, size): (u64, u64), blocks: &[u32], (fragment, offset): (u32, u32)) -> Vec<u8> {
    let small = u32::try_from(start).ok().zip(u32::try_from(size).ok());
    let mut inode = match small {
        Some((start, size)) if node.xattrs == NO_XATTRS && node.links == 1 => {
            let mut inode = base(node, 2, number);
            push(&mut inode, [start, fragment, offset, size]);
            inode
        }
        _ => {
            let mut inode = base(node, 9, number);
            inode.extend([start, size, 0].iter().flat_map(|field| field.to_le_bytes()));
            push(&mut inode, [node.links, fragment, offset, node.xattrs]);
            inode
        }
    };
    inode.extend(blocks.iter().flat_map(|block| block.to_le_bytes()));
    inode
}
