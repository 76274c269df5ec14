// A discovery handler for Akri in Go, written from akri/discovery/discovery.proto alone: docs/handlers.md walks through it.
//
// It finds files: each file in a folder is a device. Its details are JSON: {"folder": "/run/cameras"}.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	v0 "example.com/folder-handler/v0"
)

const (
	name     = "folder"
	most     = 64 << 20 // bytes of a message that both ends take; gRPC's own limit is 4 MiB
	interval = 200 * time.Millisecond
)

// handler answers questions. lost gets a token whenever a stream ended, so that the handler registers again.
type handler struct {
	v0.UnimplementedDiscoveryHandlerServer
	lost chan struct{}
}

// details is what a Configuration says under discoveryDetails.
type details struct {
	Folder string `json:"folder"`
}

func parse(text string) (details, error) {
	var wanted details
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wanted); err != nil {
		return wanted, fmt.Errorf("details: %w: expected JSON such as {\"folder\": \"/run/cameras\"}", err)
	}
	if !filepath.IsAbs(wanted.Folder) {
		return wanted, fmt.Errorf("details: folder: %q is not valid: expected an absolute path", wanted.Folder)
	}
	return wanted, nil
}

// find lists all devices: always the whole set, in the order of their names.
func find(wanted details) (*v0.DiscoverResponse, error) {
	entries, err := os.ReadDir(wanted.Folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	answer := &v0.DiscoverResponse{}
	for _, entry := range entries {
		if entry.Type().IsRegular() {
			path := filepath.Join(wanted.Folder, entry.Name())
			answer.Devices = append(answer.Devices, &v0.Device{
				Id:         path,
				Properties: map[string]string{"FOLDER_FILE": path},
				Mounts:     []*v0.Mount{{ContainerPath: path, HostPath: path, ReadOnly: true}},
			})
		}
	}
	return answer, nil
}

// Discover streams the devices: at once, and again after each change.
func (h *handler) Discover(request *v0.DiscoverRequest, stream grpc.ServerStreamingServer[v0.DiscoverResponse]) error {
	defer func() {
		select {
		case h.lost <- struct{}{}:
		default:
		}
	}()
	wanted, err := parse(request.GetDiscoveryDetails())
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	var told *v0.DiscoverResponse
	for {
		found, err := find(wanted)
		if err != nil {
			return status.Error(codes.Unavailable, err.Error())
		}
		if told == nil || !proto.Equal(told, found) {
			if err := stream.Send(found); err != nil {
				return err
			}
			told = found
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-time.After(interval):
		}
	}
}

// register tells the agent once where the handler listens.
func register(ctx context.Context, agent, endpoint string) error {
	connection, err := grpc.NewClient("unix:"+agent, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err = v0.NewRegistrationClient(connection).RegisterDiscoveryHandler(ctx, &v0.RegisterDiscoveryHandlerRequest{
		Name:         name,
		Endpoint:     endpoint,
		EndpointType: v0.RegisterDiscoveryHandlerRequest_UDS,
		Shared:       false,
	})
	return err
}

// keepRegistered registers with each new agent, and again whenever a stream was lost.
func keepRegistered(ctx context.Context, agent, endpoint string, lost <-chan struct{}) {
	var known os.FileInfo
	wait := interval
	for ctx.Err() == nil {
		socket, err := os.Stat(agent)
		if err != nil {
			known = nil // no agent: whichever comes is a new one
		} else if known == nil || !os.SameFile(known, socket) || !known.ModTime().Equal(socket.ModTime()) {
			if err := register(ctx, agent, endpoint); err != nil {
				log.Printf("not registered: %v", err)
				wait = min(2*wait, 30*time.Second)
			} else {
				known, wait = socket, interval
			}
		}
		select {
		case <-ctx.Done():
		case <-lost:
			known = nil
		case <-time.After(wait):
		}
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	folder := os.Getenv("DISCOVERY_HANDLERS_DIRECTORY")
	if folder == "" {
		folder = "/var/lib/akri"
	}
	endpoint := filepath.Join(folder, name+".sock")
	if err := os.Remove(endpoint); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", endpoint)
	if err != nil {
		return err
	}
	lost := make(chan struct{}, 1)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(most), grpc.MaxSendMsgSize(most))
	v0.RegisterDiscoveryHandlerServer(server, &handler{lost: lost})
	var background sync.WaitGroup
	background.Add(2)
	go func() {
		defer background.Done()
		keepRegistered(ctx, filepath.Join(folder, "agent-registration.sock"), endpoint, lost)
	}()
	go func() { defer background.Done(); <-ctx.Done(); server.Stop() }()
	err = server.Serve(listener)
	stop()
	background.Wait()
	return err
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
