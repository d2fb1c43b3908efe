//! The operations that a build really has: those that its images need, each once.

use std::collections::HashMap;

use nacre_oci::Digest;
use nacre_plugin::graph::{Action, Definition, File, Node, Operation, Source, Vertex};

use crate::key::KeyHasher;

/// Several graphs as one.
pub(crate) struct Plan {
    /// Every operation stands behind those that it needs.
    pub(crate) steps: Vec<Planned>,
    /// What the graphs' outputs have become.
    pub(crate) outputs: Vec<Node>,
}

/// One operation of a plan.
pub(crate) struct Planned {
    /// The operation; its inputs are positions in the plan.
    pub(crate) vertex: Vertex,
    /// These positions, each once, sorted.
    pub(crate) inputs: Vec<usize>,
    /// The same for operations that say the same and stand on the same, whatever they are called.
    pub(crate) identity: Digest,
    /// Whether something that stands on it runs a program.
    pub(crate) leads_to_program: bool,
}

impl Plan {
    /// Puts checked graphs together. What no output needs is left out.
    pub(crate) fn new(definitions: &[&Definition]) -> Self {
        let (mut plan, mut known) = (Self { steps: Vec::new(), outputs: Vec::new() }, HashMap::new());
        for definition in definitions {
            let output = plan.add(definition, &mut known);
            plan.outputs.push(output);
        }
        plan.find_programs();
        plan
    }

    fn find_programs(&mut self) {
        for index in (0..self.steps.len()).rev() {
            let step = &self.steps[index];
            if step.leads_to_program || matches!(step.vertex.operation, Operation::Exec(_)) {
                step.inputs.clone().into_iter().for_each(|input| self.steps[input].leads_to_program = true);
            }
        }
    }

    fn add(&mut self, definition: &Definition, known: &mut HashMap<Digest, usize>) -> Node {
        let needed = needed(definition);
        let mut positions: Vec<usize> = Vec::with_capacity(definition.vertices.len());
        for (vertex, needed) in definition.vertices.iter().zip(needed) {
            positions.push(if needed { self.add_one(vertex.clone(), &positions, known) } else { usize::MAX });
        }
        self.rooted(positions[definition.output as usize], known) as Node
    }

    /// A folder of the user's that is an output becomes a root filesystem.
    fn rooted(&mut self, output: usize, known: &mut HashMap<Digest, usize>) -> usize {
        let vertex = self.steps[output].vertex.clone();
        if !matches!(vertex.operation, Operation::Source(Source::Folder(_))) {
            return output;
        }
        let scratch = Vertex { operation: Operation::Source(Source::Scratch), ..vertex.clone() };
        let positions = [output, self.add_one(scratch, &[], known)];
        let file = File { base: 1, actions: vec![Action::Copy(super::all_of(0, "/"))] };
        self.add_one(Vertex { operation: Operation::File(file), ..vertex }, &positions, known)
    }

    fn add_one(&mut self, mut vertex: Vertex, positions: &[usize], known: &mut HashMap<Digest, usize>) -> usize {
        let mut inputs: Vec<usize> = Vec::new();
        for input in super::inputs(&mut vertex.operation) {
            inputs.push(positions[*input as usize]);
            *input = 0;
        }
        let mut hasher = KeyHasher::new("identity");
        hasher.json(&(&vertex.operation, vertex.no_cache));
        inputs.iter().for_each(|input| hasher.bytes(self.steps[*input].identity.hex().as_bytes()));
        let identity = hasher.finish();
        *known.entry(identity.clone()).or_insert_with(|| {
            for (input, position) in super::inputs(&mut vertex.operation).into_iter().zip(&inputs) {
                *input = *position as Node;
            }
            inputs.sort_unstable();
            inputs.dedup();
            self.steps.push(Planned { vertex, inputs, identity, leads_to_program: false });
            self.steps.len() - 1
        })
    }
}

/// Which operations the output needs.
fn needed(definition: &Definition) -> Vec<bool> {
    let mut needed = vec![false; definition.vertices.len()];
    needed[definition.output as usize] = true;
    for index in (0..needed.len()).rev().filter(|index| *index <= definition.output as usize) {
        if needed[index] {
            let mut operation = definition.vertices[index].operation.clone();
            super::inputs(&mut operation).into_iter().for_each(|input| needed[*input as usize] = true);
        }
    }
    needed
}
