//! Requests that are not judged: an HTTP status and a text that says what to do.

use super::deadline::InvalidTimeout;
use crate::admission::InvalidReview;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// Why a request is not judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("there is nothing at this path; AdmissionReviews go to POST /validate")]
    NotFound,
    #[error("{0} is not supported here; send an AdmissionReview by POST")]
    Method(String),
    #[error("the content type is {0}; send application/json")]
    ContentType(String),
    #[error("the body has more than {} MiB", super::body::MAX_BODY / (1024 * 1024))]
    TooLarge,
    #[error(
        "the objects in the body have so many fields that they would take more than {} MiB of memory",
        super::body::ALL_BODIES / 1024
    )]
    TooManyValues,
    #[error("the body did not arrive in time")]
    Slow,
    #[error("the body ended early")]
    Incomplete,
    #[error(transparent)]
    Timeout(#[from] InvalidTimeout),
    #[error(transparent)]
    Invalid(#[from] InvalidReview),
    #[error("too many reviews at once; this one found no place before its deadline")]
    Busy,
    #[error("judging failed; this is a defect in hullmark, and its log has more")]
    Panic,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge | Self::TooManyValues => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Incomplete | Self::Timeout(_) | Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Panic => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // The panic itself has been logged where it happened.
        tracing::warn!(http.status = self.status().as_u16(), reason = self.to_string(), "request refused");
        let mut response = (self.status(), format!("hullmark: {self}\n")).into_response();
        if matches!(self, Self::Method(_)) {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}
