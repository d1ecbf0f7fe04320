//! The one integration binary: the real `hullmark` against real parts, on loopback only.

#[cfg(test)]
mod check;
#[cfg(test)]
mod inspect;
#[cfg(test)]
mod layering;
#[cfg(test)]
mod lying;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod support;
mod serve;
