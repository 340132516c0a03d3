//! The statuses of an extension, with RingCentral's words as label values. Pure.
//!
//! Values that RingCentral does not document, and fields that a row lacks, are `Unknown`.

use crate::label_enum::label_enum;

label_enum! {
    /// What the extension's phone does.
    TelephonyStatus {
        /// Nothing.
        NoCall = "NoCall",
        /// A call rings.
        Ringing = "Ringing",
        /// A call is connected.
        CallConnected = "CallConnected",
        /// The call is on hold.
        OnHold = "OnHold",
        /// The call is parked.
        ParkedCall = "ParkedCall",
        /// Not given, or not documented.
        Unknown = "Unknown",
    }
}

label_enum! {
    /// Whether the person is reachable, as RingCentral combines it from the other statuses.
    PresenceStatus {
        /// Reachable.
        Available = "Available",
        /// In a call, or set by the person.
        Busy = "Busy",
        /// No device is registered.
        Offline = "Offline",
        /// Not given, or not documented.
        Unknown = "Unknown",
    }
}

label_enum! {
    /// Which calls the person accepts.
    DndStatus {
        /// All calls.
        TakeAllCalls = "TakeAllCalls",
        /// Only calls of queues.
        TakeDepartmentCallsOnly = "TakeDepartmentCallsOnly",
        /// No calls of queues.
        DoNotAcceptDepartmentCalls = "DoNotAcceptDepartmentCalls",
        /// No calls.
        DoNotAcceptAnyCalls = "DoNotAcceptAnyCalls",
        /// Not given, or not documented.
        Unknown = "Unknown",
    }
}

/// Adds the documented values of an enum, which are all but the last one.
macro_rules! documented {
    ($($name:ident),*) => {
        $(impl $name {
            /// The values that RingCentral documents.
            pub const DOCUMENTED: &[Self] = {
                let [documented @ .., Self::Unknown] = &Self::ALL else {
                    panic!("the last value is Unknown");
                };
                documented
            };
        })*
    };
}

documented!(TelephonyStatus, PresenceStatus, DndStatus);

/// The statuses of one extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExtensionStatus {
    /// What the phone does.
    pub telephony: TelephonyStatus,
    /// Whether the person is reachable.
    pub presence: PresenceStatus,
    /// Which calls the person accepts.
    pub dnd: DndStatus,
}

impl ExtensionStatus {
    /// The status of which nothing is known.
    pub const UNKNOWN: Self = Self {
        telephony: TelephonyStatus::Unknown,
        presence: PresenceStatus::Unknown,
        dnd: DndStatus::Unknown,
    };

    /// Returns all combinations.
    pub fn all() -> impl Iterator<Item = Self> {
        TelephonyStatus::ALL.into_iter().flat_map(Self::all_with)
    }

    /// Returns all combinations with this telephony status.
    fn all_with(telephony: TelephonyStatus) -> impl Iterator<Item = Self> {
        PresenceStatus::ALL.into_iter().flat_map(move |presence| {
            DndStatus::ALL.map(|dnd| Self {
                telephony,
                presence,
                dnd,
            })
        })
    }

    /// Returns whether one of the known statuses differs in another one.
    pub(crate) fn contradicts(self, other: Self) -> bool {
        let Self {
            telephony,
            presence,
            dnd,
        } = self;
        telephony != TelephonyStatus::Unknown && telephony != other.telephony
            || presence != PresenceStatus::Unknown && presence != other.presence
            || dnd != DndStatus::Unknown && dnd != other.dnd
    }

    /// Returns whether all three are values that RingCentral documents.
    #[must_use]
    pub fn is_documented(self) -> bool {
        self.telephony != TelephonyStatus::Unknown
            && self.presence != PresenceStatus::Unknown
            && self.dnd != DndStatus::Unknown
    }
}

/// Defines `parse` for an enum with a variant `Unknown`.
macro_rules! parse_or_unknown {
    ($($name:ident),*) => {$(
        impl $name {
            /// Returns the value with this name, `Unknown` if the text is missing or not documented.
            #[must_use]
            pub fn parse(text: Option<&str>) -> Self {
                let mut values = Self::ALL.into_iter();
                let known = values.find(|value| Some(value.as_str()) == text);
                known.unwrap_or(Self::Unknown)
            }
        }
    )*};
}
parse_or_unknown!(TelephonyStatus, PresenceStatus, DndStatus);
