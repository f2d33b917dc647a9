// etcd-peer: what etcd does where libcluster keeps keys on three nodes.
//
//	etcd-peer kv-ring [SCALE]
//
// Starts three etcd processes on loopback with their data on a disk (TMPDIR, or /tmp), then in memory (/dev/shm),
// and asks them with etcd's own client; prints RES lines (README.md). Puts and linearizable gets. Nothing is
// encrypted or signed, which is etcd's default.
package main

import (
	"context"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/clientv3"
	"google.golang.org/grpc/grpclog"
)

const (
	keys        = 10000
	valueBytes  = 100
	fillPage    = 100 // of what a transaction may hold (128)
	connections = 3
	warmUp      = 200 * time.Millisecond
	fullTime    = 2 * time.Second
	patience    = 60 * time.Second
)

var cleanUp []func()

func check(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "etcd-peer:", err)
	end(1)
}

func end(code int) {
	for i := len(cleanUp) - 1; i >= 0; i-- {
		cleanUp[i]()
	}
	os.Exit(code)
}

func result(metric, unit string, value float64) {
	fmt.Printf("RES\tetcd\tkv-ring\t%s\t%s\t%g\n", metric, unit, value)
}

func freePort() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// Three members of one cluster, with their data below `parent`; the addresses for clients.
func start(parent string) (addresses []string, stop func()) {
	folder, err := os.MkdirTemp(parent, "etcd-peer-")
	check(err)
	var commands []*exec.Cmd
	stop = func() {
		for _, command := range commands {
			_ = command.Process.Kill()
			_ = command.Wait()
		}
		commands = nil
		os.RemoveAll(folder)
	}
	cleanUp = append(cleanUp, stop)
	var peers, cluster []string
	for i := 0; i < 3; i++ {
		addresses = append(addresses, fmt.Sprintf("http://127.0.0.1:%d", freePort()))
		peers = append(peers, fmt.Sprintf("http://127.0.0.1:%d", freePort()))
		cluster = append(cluster, fmt.Sprintf("m%d=%s", i, peers[i]))
	}
	for i := 0; i < 3; i++ {
		name := fmt.Sprintf("m%d", i)
		command := exec.Command("etcd", "--name", name, "--data-dir", filepath.Join(folder, name),
			"--listen-client-urls", addresses[i], "--advertise-client-urls", addresses[i],
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(cluster, ","), "--initial-cluster-state", "new",
			"--logger", "zap", "--log-level", "error")
		command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		check(command.Start())
		commands = append(commands, command)
	}
	return addresses, stop
}

func keyOf(number int) string { return fmt.Sprintf("key:%012d", number) }

func connect(addresses []string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{Endpoints: addresses, DialTimeout: patience})
	check(err)
	return client
}

// The leader's address first: a request to a follower takes one more step.
func leaderFirst(addresses []string) []string {
	client := connect(addresses)
	defer client.Close()
	limit, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i, address := range addresses {
		for {
			status, err := client.Status(limit, address)
			if err == nil && status.Leader != 0 {
				if status.Leader == status.Header.MemberId {
					addresses[0], addresses[i] = addresses[i], addresses[0]
				}
				break
			}
			check(limit.Err())
			time.Sleep(50 * time.Millisecond)
		}
	}
	return addresses
}

func fill(client *clientv3.Client) {
	limit, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for number := 0; number < keys; {
		var puts []clientv3.Op
		for i := 0; i < fillPage; i++ {
			puts = append(puts, clientv3.OpPut(keyOf(number), strings.Repeat("a", valueBytes)))
			number++
		}
		_, err := client.Txn(limit).Then(puts...).Commit()
		check(err)
	}
}

// Each client has one request under way, and begins the next with the answer.
func measure(clients []*clientv3.Client, name, mix string, readsPercent, count int, length time.Duration) {
	begun := time.Now()
	from, until := begun.Add(warmUp), begun.Add(warmUp+length)
	took := make([][]float64, count)
	var all sync.WaitGroup
	for i := 0; i < count; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			chance := rand.New(rand.NewSource(int64(i + 1)))
			client := clients[i%len(clients)]
			for {
				key := keyOf(chance.Intn(keys))
				at := time.Now()
				if chance.Intn(100) < readsPercent {
					answer, err := client.Get(context.Background(), key)
					check(err)
					if len(answer.Kvs) != 1 {
						check(fmt.Errorf("a value is lost"))
					}
				} else {
					value := strings.Repeat(string(rune('a'+chance.Intn(26))), valueBytes)
					_, err := client.Put(context.Background(), key, value)
					check(err)
				}
				now := time.Now()
				if at.After(from) && now.Before(until) {
					took[i] = append(took[i], float64(now.Sub(at).Nanoseconds())/1e3)
				}
				if now.After(until) {
					return
				}
			}
		}(i)
	}
	all.Wait()
	var sorted []float64
	for _, each := range took {
		sorted = append(sorted, each...)
	}
	if len(sorted) == 0 {
		check(fmt.Errorf("nothing was answered within %v", length))
	}
	sort.Float64s(sorted)
	metric := fmt.Sprintf("%s %s %d", name, mix, count)
	result(metric, "1/s", float64(len(sorted))/length.Seconds())
	result(metric+" p50", "us", sorted[len(sorted)/2])
	result(metric+" p99", "us", sorted[len(sorted)*99/100])
}

func kvRing(scale float64) {
	length := time.Duration(scale * float64(fullTime))
	for _, place := range []struct{ name, folder string }{{"disk", os.TempDir()}, {"memory", "/dev/shm"}} {
		addresses, stop := start(place.folder)
		addresses = leaderFirst(addresses)
		var clients []*clientv3.Client
		for i := 0; i < connections; i++ {
			clients = append(clients, connect(addresses[i%len(addresses):i%len(addresses)+1]))
		}
		fill(clients[0])
		for _, count := range []int{1, 64} {
			measure(clients, place.name, "put", 0, count, length)
			measure(clients, place.name, "get", 100, count, length)
		}
		measure(clients, place.name, "50/50", 50, 64, length)
		measure(clients, place.name, "95/5", 95, 64, length)
		for _, client := range clients {
			client.Close()
		}
		stop()
	}
}

func main() {
	runtime.LockOSThread() // children die with the thread that began them
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	scale := 1.0
	if len(os.Args) > 2 {
		var err error
		scale, err = strconv.ParseFloat(os.Args[2], 64)
		check(err)
	}
	if len(os.Args) < 2 || os.Args[1] != "kv-ring" {
		fmt.Fprintln(os.Stderr, "usage: etcd-peer kv-ring [SCALE]")
		os.Exit(2)
	}
	kvRing(scale)
	end(0)
}
